"""Turn what was typed about a client into the document, or the patch, that the registry reads."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from watchword.cli import option_values as values
from watchword.cli.client_grants import GrantChoice
from watchword.cli.client_options import ClientChanges, ClientOptions
from watchword.cli.mistakes import Mistakes

if TYPE_CHECKING:
    from issuer.registry.schema import Json

_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "name": ("client_name", values.parse_name),
    "auth": ("token_endpoint_auth_method", values.parse_auth_method),
    "jwks": ("jwks", values.load_jwks),
    "jwks_uri": ("jwks_uri", values.parse_jwks_uri),
    "grant_type": ("grant_types", values.parse_grant_types),
    "token_ttl": ("token_ttl", values.parse_token_ttl),
    "dpop": ("dpop_bound_access_tokens", bool),
    "certificate_bound": ("tls_client_certificate_bound_access_tokens", bool),
    "expires_at": ("expires_at", values.parse_time),
    "metadata_json": ("metadata", values.load_object),
    "metadata": ("metadata", values.parse_notes),
    "disabled": ("disabled", bool),
}
"""The member that each option fills, and how it is read."""

_UNSET = {
    "name": "client_name",
    "token-ttl": "token_ttl",
    "expires-at": "expires_at",
    "metadata": "metadata",
}
_DEFAULT_SCOPE = "default-scope"
_NOTE = "metadata."

LABELS = {
    "client_id": "ID",
    "resources": "--resource",
    "scope": "--scope",
    "grants": "--grant",
    "client_secret": "--secret-stdin",
    "client_secret_expires_at": "--secret-expires-in",
    **{member: "--" + option.replace("_", "-") for option, (member, _) in _READERS.items()},
}
"""What people typed for the members of a client's document."""


def checked_client_id(text: str) -> Mistakes:
    """Begin the mistakes of a command with those of the client id that it is about."""
    from issuer.registry.client import check_client_id

    mistakes = Mistakes()
    with mistakes.of("ID"):
        check_client_id(text)
    return mistakes


def read_members(options: ClientOptions, mistakes: Mistakes, *, now: int) -> "Json":
    """Read what was typed, but for resources and scopes."""
    members: Json = {}
    for option, (member, read) in _READERS.items():
        if (typed := getattr(options, option)) is not None:
            with mistakes.of(_label(option)):
                value = read(typed)
                # Both options of notes fill one member.
                members[member] = members.get(member, {}) | value if member == "metadata" else value
    if options.expires_in is not None:
        mistakes.exclude("--expires-in", [("--expires-at", options.expires_at)])
        with mistakes.of("--expires-in"):
            members["expires_at"] = values.later(options.expires_in, now)
    if options.tls_subject is not None:
        with mistakes.of("--tls-subject"):
            members |= values.parse_tls_subject(options.tls_subject)
    if options.no_grants:
        mistakes.exclude("--no-grants", [("--grant-type", options.grant_type)])
        members |= {"grant_types": [], "grants": []}
    return members


def read_choice(
    options: ClientOptions, mistakes: Mistakes, *, all_scopes: bool = False
) -> GrantChoice:
    """Read what was typed about resources and scopes."""
    if all_scopes:
        rest = [("--scope", options.scope), ("--grant", options.grant)]
        mistakes.exclude("--all-scopes", [*rest, ("--no-grants", options.no_grants)])
    spread = [("--scope", options.scope), ("--resource", options.resource)]
    if options.no_grants:
        rest = [("--grant", options.grant), ("--default-scope", options.default_scope)]
        mistakes.exclude("--no-grants", [*spread, *rest])
    exact = None
    if options.grant is not None:
        mistakes.exclude("--grant", spread)
        with mistakes.of("--grant"):
            exact = tuple(values.parse_grant(text) for text in options.grant)
    return GrantChoice(
        exact=exact,
        resources=_read("--resource", options.resource, values.parse_resources, mistakes),
        scopes=_read("--scope", options.scope, values.parse_scopes, mistakes),
        all_scopes=all_scopes,
        defaults=_read("--default-scope", options.default_scope, values.parse_scopes, mistakes),
    )


def check_material(options: ClientOptions, members: "Json", mistakes: Mistakes) -> None:
    """Refuse keys and certificates that do not go with the way to authenticate."""
    for option in ("auth", "jwks", "jwks_uri"):
        if getattr(options, option) is not None and _READERS[option][0] not in members:
            return  # told already; what follows from it is not another mistake
    from issuer.registry import auth_method

    given = [name for name in auth_method.ALL_MATERIAL if name in members]
    if options.tls_subject is not None and not set(given) & set(auth_method.TLS_SUBJECTS):
        return
    with mistakes.of("--auth"):
        text = members.get("token_endpoint_auth_method", "client_secret_basic")
        auth_method.check_material(auth_method.AuthMethod(text), given)


def read_patch(changes: ClientChanges, mistakes: Mistakes, *, now: int) -> "Json":
    """Read what was typed into a merge patch (RFC 7396), but for resources and scopes."""
    members = read_members(changes, mistakes, now=now)
    patch = _displaced(members) | members
    for name in changes.unset or ():
        if name == _DEFAULT_SCOPE:
            mistakes.exclude(f"--unset {name}", [("--default-scope", changes.default_scope)])
        elif name.startswith(_NOTE) and name != _NOTE:
            notes = patch.setdefault("metadata", {})
            _unset(notes, name.removeprefix(_NOTE), name, mistakes)
        elif name in _UNSET:
            _unset(patch, _UNSET[name], name, mistakes)
        else:
            mistakes.add(f"--unset: choose {', '.join(_UNSET)}, {_DEFAULT_SCOPE} or {_NOTE}KEY")
    return patch


def read_changed_choice(changes: ClientChanges, mistakes: Mistakes) -> GrantChoice:
    """Read what was typed about resources and scopes of a client that exists."""
    choice = read_choice(changes, mistakes)
    more = [("--add-scope", changes.add_scope), ("--remove-scope", changes.remove_scope)]
    for label, typed in (
        ("--scope", changes.scope),
        ("--grant", changes.grant),
        ("--no-grants", changes.no_grants),
    ):
        if typed:
            mistakes.exclude(label, more)
    if choice.resources and not (choice.scopes or changes.add_scope or changes.remove_scope):
        mistakes.add("--resource: say what changes, by --scope, --add-scope or --remove-scope")
    return GrantChoice(
        exact=choice.exact,
        resources=choice.resources,
        scopes=choice.scopes,
        defaults=choice.defaults,
        added=_read("--add-scope", changes.add_scope, values.parse_scopes, mistakes),
        removed=_read("--remove-scope", changes.remove_scope, values.parse_scopes, mistakes),
        forget_defaults=_DEFAULT_SCOPE in (changes.unset or ()),
    )


def _displaced(members: "Json") -> "Json":
    """Take away the keys and certificate names that what was typed comes in the place of."""
    from issuer.registry.auth_method import TLS_SUBJECTS, AuthMethod

    displaced: set[str] = set()
    if (text := members.get("token_endpoint_auth_method")) is not None:
        method = AuthMethod(text)
        displaced.update(() if method.uses_keys else ("jwks", "jwks_uri"))
        displaced.update(() if method is AuthMethod.TLS_CLIENT_AUTH else TLS_SUBJECTS)
    if "jwks" in members:
        displaced.add("jwks_uri")
    if "jwks_uri" in members:
        displaced.add("jwks")
    if not members.keys().isdisjoint(TLS_SUBJECTS):
        displaced.update(TLS_SUBJECTS)
    return dict.fromkeys(displaced)


def _unset(patch: "Json | None", member: str, name: str, mistakes: Mistakes) -> None:
    if patch is None or member in patch:
        mistakes.add(f"--unset {name}: it is set, or unset, by another option as well")
    else:
        patch[member] = None


def _read(
    label: str,
    typed: Sequence[str] | None,
    read: Callable[[Sequence[str]], list[str]],
    mistakes: Mistakes,
) -> list[str]:
    found: list[str] = []
    with mistakes.of(label):
        found = read(typed or ())
    return found


def _label(option: str) -> str:
    return "--" + option.replace("_", "-")
