"""Options of clients and their grants: what is typed, and the document or patch that it makes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.options import (
    Attributes,
    attribute_labels,
    later,
    load_object,
    read_attributes,
    read_unset,
    read_words,
)
from watchword.cli.output import CommandFailed, Mistakes, WrongUsage

if TYPE_CHECKING:
    from issuer.registry.resource import Resource
    from issuer.registry.schema import Json

FindResource = Callable[[str], "Resource"]
Grants = dict[str, tuple[list[str], list[str]]]
"""By resource: the scopes granted on it, and the default ones if those are fewer."""

DEFAULT_SCOPE = "default-scope"
_NOTE = "metadata."
_SUBJECTS = {
    "dn": "tls_client_auth_subject_dn",
    "dns": "tls_client_auth_san_dns",
    "uri": "tls_client_auth_san_uri",
    "ip": "tls_client_auth_san_ip",
    "email": "tls_client_auth_san_email",
}
"""The kinds of certificate names of RFC 8705 §2.1.2."""

GRANT_LABELS = {"scope": "--scope", "resources": "--resource", "grants": "--grant"}
"""The options for the members of a document that say what a client may ask for."""

LABELS = {
    **attribute_labels("client"),
    **GRANT_LABELS,
    **dict.fromkeys(_SUBJECTS.values(), "--tls-subject"),
    "client_id": "ID",
    "client_secret": "--secret-stdin",
    "client_secret_expires_at": "--secret-expires-in",
}
"""The option or argument for each member of a client's document."""


AllScopesFlag = Annotated[
    bool,
    typer.Option(
        "--all-scopes", help="Instead of --scope: every scope that the resources have now."
    ),
]
_Texts = list[str] | None


@dataclass(frozen=True, kw_only=True)
class GrantOptions(Attributes):
    """What a client, or the clients of a registration token, may ask for, as typed."""

    scope: Annotated[
        _Texts,
        typer.Option(
            metavar="SCOPE",
            help="A scope that it may ask for; repeat it for more. If left out on creation: none.",
        ),
    ] = None
    resource: Annotated[
        _Texts,
        typer.Option(
            metavar="URI",
            help="A resource that it may get tokens for, the default one first. If left out on"
            " creation: the configured API resource.",
        ),
    ] = None
    grant: Annotated[
        _Texts,
        typer.Option(
            metavar="'URI SCOPE...'",
            help="Exactly these scopes on this resource, instead of --scope and --resource;"
            " repeat it for more resources.",
        ),
    ] = None
    default_scope: Annotated[
        _Texts,
        typer.Option(
            metavar="SCOPE",
            help="What a token request that names no scope gets; all if left out.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class GrantChanges(GrantOptions):
    """What changes in what a client may ask for, as typed."""

    add_scope: Annotated[
        _Texts,
        typer.Option(
            metavar="SCOPE",
            help="A scope that it may ask for from now on, on the resource named by --resource or"
            " else on those of its resources that have it.",
        ),
    ] = None
    remove_scope: Annotated[
        _Texts,
        typer.Option(
            metavar="SCOPE",
            help="A scope that it loses, on the resource named by --resource or else on all.",
        ),
    ] = None

    @property
    def change_grants(self) -> bool:
        """Whether any of them was typed."""
        typed = (self.scope, self.resource, self.grant, self.default_scope)
        return any(each is not None for each in (*typed, self.add_scope, self.remove_scope))


@dataclass(frozen=True, kw_only=True)
class ClientOptions(GrantOptions):
    """Options that are not simply the value of one attribute, as typed."""

    no_grants: Annotated[
        bool, typer.Option("--no-grants", help="It may ask for nothing and gets no tokens.")
    ] = False
    tls_subject: Annotated[
        str | None,
        typer.Option(
            metavar="KIND=VALUE",
            help="The certificate of tls_client_auth; KIND is dn, dns, uri, ip or email.",
        ),
    ] = None
    expires_in: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="Refuse it after this many seconds.")
    ] = None
    metadata_json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Notes from a file with a JSON object.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class ClientChanges(ClientOptions, GrantChanges):
    """Options for a client that exists already, as typed."""

    unset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Remove a value: name, token-ttl, expires-at, default-scope, metadata,"
            " metadata.KEY or claims; repeat it for more.",
        ),
    ] = None


def read_members(options: ClientOptions, mistakes: Mistakes, now: int) -> "Json":
    """Return the members of the document that were typed, but for resources and scopes."""
    members = read_attributes("client", options.typed, mistakes)
    if options.metadata_json is not None:
        with mistakes.of("--metadata-json"):
            notes = load_object(options.metadata_json)
            members["metadata"] = notes | members.get("metadata", {})
    if options.expires_in is not None:
        mistakes.exclude("--expires-in", [("--expires-at", options.typed["expires_at"])])
        with mistakes.of("--expires-in"):
            members["expires_at"] = later(options.expires_in, now)
    if options.tls_subject is not None:
        kind, equals, value = options.tls_subject.partition("=")
        if kind in _SUBJECTS and equals:
            members[_SUBJECTS[kind]] = value
        else:
            kinds = ", ".join(_SUBJECTS)
            mistakes.add(f"--tls-subject: must be KIND=VALUE, where KIND is {kinds}")
    if options.no_grants:
        mistakes.exclude("--no-grants", [("--grant-type", options.typed["grant_types"])])
        members |= {"grant_types": [], "grants": []}
    return members


def read_patch(options: ClientChanges, mistakes: Mistakes, now: int) -> "Json":
    """Return what was typed as a merge patch (RFC 7396), but for resources and scopes."""
    members = read_members(options, mistakes, now)
    patch = _displaced(members) | members
    names = [name for name in options.unset or () if name != DEFAULT_SCOPE]
    if options.unset and DEFAULT_SCOPE in options.unset:
        rest = [("--default-scope", options.default_scope)]
        mistakes.exclude(f"--unset {DEFAULT_SCOPE}", rest)
    notes = [name for name in names if name.startswith(_NOTE) and name != _NOTE]
    others = (DEFAULT_SCOPE, f"{_NOTE}KEY")
    read_unset("client", [each for each in names if each not in notes], patch, mistakes, others)
    for name in notes:
        kept = patch.setdefault("metadata", {})
        key = name.removeprefix(_NOTE)
        if kept is None or key in kept:
            mistakes.add(f"--unset {name}: another option sets or unsets it as well")
        else:
            kept[key] = None
    return patch


def _displaced(members: "Json") -> "Json":
    """Unset the keys and certificate names whose place another one takes, or another method."""
    from issuer.registry.credentials import ALL_MATERIAL, MATERIAL

    given = [name for name in ALL_MATERIAL if name in members]
    typed = members.get("token_endpoint_auth_method")
    fitting = next((names for method, names in MATERIAL.items() if method == typed), ALL_MATERIAL)
    gone = (name for name in ALL_MATERIAL if (given and name not in given) or name not in fitting)
    return dict.fromkeys(gone)


def written_out(options: GrantOptions) -> "Json":
    """Return the member `grants` of a new document, if `--grant` says them all.

    Raises:
        WrongUsage: a default scope is not among their scopes, or a resource is named twice.
    """
    if options.grant is None:
        return {}
    return _write_grants(_with_defaults(_parse_grants(options.grant), options.default_scope))


def spread(options: GrantOptions, find: FindResource, *, all_scopes: bool) -> "Json":
    """Return the member `grants` of a new document: the scopes on the resources that have them.

    Raises:
        RegistryError: a resource or scope does not exist.
        WrongUsage: a default scope is not granted.
    """
    scopes = None if all_scopes else read_words(options.scope or ())
    granted = _decide([find(each) for each in options.resource or ()], scopes)
    return _write_grants(_with_defaults(granted, options.default_scope))


def changed_grants(
    changes: GrantChanges, client: "Json", find: FindResource, *, forget_defaults: bool = False
) -> "Json":
    """Return the member `grants` of a client's document as it becomes.

    Args:
        changes: the options.
        client: its document.
        find: looks up a resource.
        forget_defaults: a request that names no scope gets all again.

    Raises:
        RegistryError: a resource or scope does not exist.
        CommandFailed: the client does not hold a scope that it shall lose.
        WrongUsage: a default scope is not granted, or the client has no resource yet.
    """
    held: Grants = {
        each["resource"]: (each["scope"].split(), each.get("default_scope", "").split())
        for each in client["grants"]
    }
    grants = dict(held) if changes.grant is None else _parse_grants(changes.grant)
    if changes.scope:
        replaced = _granted("--scope", changes, changes.scope, held, find)
        grants = {name: (scopes, held.get(name, ([], []))[1]) for name, scopes in replaced}
    if changes.add_scope:
        for name, scopes in _granted("--add-scope", changes, changes.add_scope, held, find):
            before, defaults = grants.get(name, ([], []))
            grants[name] = (list(dict.fromkeys([*before, *scopes])), defaults)
    if changes.remove_scope:
        _remove(changes, read_words(changes.remove_scope), grants)
    if forget_defaults:
        grants = {name: (scopes, []) for name, (scopes, _) in grants.items()}
    return _write_grants(_with_defaults(grants, changes.default_scope))


def _named(option: str, changes: GrantOptions, held: Grants) -> Sequence[str]:
    """Return the resources that an option is about: those that were named, or else all held."""
    named = changes.resource or list(held)
    if not named:
        raise WrongUsage(f"{option}: the client has no resource yet; name one with --resource")
    return named


def _granted(
    option: str, changes: GrantOptions, texts: Sequence[str], held: Grants, find: FindResource
) -> list[tuple[str, list[str]]]:
    """Grant scopes on the resources that were named, or else on those held that have any."""
    scopes = read_words(texts)
    found = [find(each) for each in _named(option, changes, held)]
    if not changes.resource:
        found = [each for each in found if set(scopes) & set(each.scopes)] or found
    return [(name, granted) for name, (granted, _) in _decide(found, scopes).items()]


def _remove(changes: GrantOptions, scopes: Sequence[str], grants: Grants) -> None:
    named = [each for each in _named("--remove-scope", changes, grants) if each in grants]
    for scope in scopes:
        if not any(scope in grants[each][0] for each in named):
            where = f" on {', '.join(changes.resource)}" if changes.resource else ""
            raise CommandFailed(f"the client does not hold the scope{where}: {scope}")
    for name in named:
        held, defaults = grants.pop(name)
        if left := [each for each in held if each not in scopes]:
            grants[name] = (left, defaults)


def _decide(resources: "Sequence[Resource]", scopes: Sequence[str] | None) -> Grants:
    from issuer.registry.resource import decide_grants

    return {each.resource: (list(each.scopes), []) for each in decide_grants(resources, scopes)}


def _with_defaults(grants: Grants, texts: Sequence[str] | None) -> Grants:
    wanted = read_words(texts or ())
    granted = {scope for scopes, _ in grants.values() for scope in scopes}
    if missing := [scope for scope in wanted if scope not in granted]:
        raise WrongUsage(*(f"--default-scope: {scope} is not granted" for scope in missing))
    return {
        name: (scopes, [each for each in scopes if each in wanted] or defaults)
        for name, (scopes, defaults) in grants.items()
    }


def _parse_grants(texts: Iterable[str]) -> Grants:
    grants: Grants = {}
    for text in texts:
        resource, *scopes = text.split() or [""]
        if resource in grants:
            raise WrongUsage(f"--grant: two grants on {resource}; put their scopes into one")
        grants[resource] = (scopes, [])
    return grants


def _write_grants(grants: Grants) -> "Json":
    written = []
    for resource, (scopes, defaults) in grants.items():
        document = {"resource": resource, "scope": " ".join(scopes)}
        kept = [each for each in defaults if each in scopes]
        if kept and set(kept) != set(scopes):
            document["default_scope"] = " ".join(kept)
        written.append(document)
    return {"grants": written}


def check_new_grants(
    options: GrantOptions, mistakes: Mistakes, *, all_scopes: bool, no_grants: bool = False
) -> None:
    """Refuse options for the grants of a new client that do not go together."""
    spread = [("--scope", options.scope), ("--resource", options.resource)]
    if options.grant is not None:
        mistakes.exclude("--grant", spread)
    if no_grants:
        rest = [("--grant", options.grant), ("--default-scope", options.default_scope)]
        mistakes.exclude("--no-grants", [*spread, *rest])
    if all_scopes:
        rest = [("--scope", options.scope), ("--grant", options.grant)]
        mistakes.exclude("--all-scopes", [*rest, ("--no-grants", no_grants)])


def check_grant_changes(changes: GrantChanges, mistakes: Mistakes, *, no_grants: bool) -> None:
    """Refuse changes of a client's grants that do not go together."""
    check_new_grants(changes, mistakes, all_scopes=False, no_grants=no_grants)
    more = [("--add-scope", changes.add_scope), ("--remove-scope", changes.remove_scope)]
    typed = (("--scope", changes.scope), ("--grant", changes.grant), ("--no-grants", no_grants))
    for label, given in typed:
        if given:
            mistakes.exclude(label, more)
    if changes.resource and not (changes.scope or changes.add_scope or changes.remove_scope):
        mistakes.add("--resource: say what changes, by --scope, --add-scope or --remove-scope")


def write_grants_line(grants: Iterable["Json"]) -> str:
    """Write grants on one line: resource, scopes, and the default ones if those are fewer."""
    return "; ".join(
        f"{each['resource']}: {each['scope']}"
        + (f" (default: {each['default_scope']})" if each.get("default_scope") else "")
        for each in grants
    )
