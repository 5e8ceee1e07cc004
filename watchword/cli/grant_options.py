"""Options for what clients may ask for: what is typed, and the grants that it makes."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.options import Attributes, read_words
from watchword.cli.output import CommandFailed, Mistakes, WrongUsage

if TYPE_CHECKING:
    from issuer.registry.resource import Resource
    from issuer.registry.schema import Json

FindResource = Callable[[str], "Resource"]
Grants = dict[str, tuple[list[str], list[str]]]
"""By resource: the scopes granted on it, and the default ones if those are fewer."""

DEFAULT_SCOPE = "default-scope"
DETAILS_TYPE = "authorization-details-type"
"""What `--unset` takes from all grants."""
_TYPES = "authorization_details_types"

GRANT_LABELS = {"scope": "--scope", "resources": "--resource", "grants": "--grant"}
"""The options for the members of a document that say what a client may ask for."""


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
    authorization_details_type: Annotated[
        _Texts,
        typer.Option(
            metavar="TYPE",
            help="A type of authorization details that it may ask for, on those of its resources"
            " that have it; repeat it for all that it shall have.",
        ),
    ] = None

    @property
    def narrowed_by(self) -> str | None:
        """The option that is about grants which other options name; None if none was typed."""
        typed = (
            (DEFAULT_SCOPE, self.default_scope),
            (DETAILS_TYPE, self.authorization_details_type),
        )
        return next((name for name, given in typed if given), None)


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
        typed = (self.scope, self.resource, self.grant, self.add_scope, self.remove_scope)
        beside = (self.default_scope, self.authorization_details_type)
        return any(each is not None for each in (*typed, *beside))


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
    changes: GrantChanges, client: "Json", find: FindResource, *, forget: Collection[str] = ()
) -> "Json":
    """Return the member `grants` of a client's document as it becomes.

    Args:
        changes: the options.
        client: its document.
        find: looks up a resource.
        forget: what is taken from all grants: `DEFAULT_SCOPE`, so that a request that names no
            scope gets all again, or `DETAILS_TYPE`.

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
    if DEFAULT_SCOPE in forget:
        grants = {name: (scopes, []) for name, (scopes, _) in grants.items()}
    written = _write_grants(_with_defaults(grants, changes.default_scope))
    if not (DETAILS_TYPE in forget or changes.grant):
        types = {each["resource"]: each.get(_TYPES) for each in client["grants"]}
        for grant in written["grants"]:
            if held_types := types.get(grant["resource"]):
                grant[_TYPES] = held_types
    return with_types(changes, written, find)


def with_types(options: GrantOptions, document: "Json", find: FindResource) -> "Json":
    """Have a document's grants list the types that were typed, on the resources that have them.

    Raises:
        RegistryError: a resource does not exist.
        WrongUsage: none of them has a type.
    """
    if not options.authorization_details_type:
        return document
    wanted, grants = read_words(options.authorization_details_type), document.get("grants", ())
    known = {
        each["resource"]: [kept.type for kept in find(each["resource"]).authorization_details_types]
        for each in grants
    }
    if missing := [each for each in wanted if not any(each in types for types in known.values())]:
        raise WrongUsage(*(f"--{DETAILS_TYPE}: no resource granted has {each}" for each in missing))
    kept = {name: [each for each in wanted if each in types] for name, types in known.items()}
    return document | {"grants": [each | {_TYPES: kept[each["resource"]]} for each in grants]}


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
        if not scopes:
            named = resource or "the resource"
            raise WrongUsage(f"--grant: no scope is named after {named}; say 'URI SCOPE...'")
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
        rest = [("--grant", options.grant), (f"--{options.narrowed_by}", options.narrowed_by)]
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
        + (f" (details: {' '.join(each[_TYPES])})" if each.get(_TYPES) else "")
        for each in grants
    )
