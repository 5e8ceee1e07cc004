"""Decide what a client may ask for from what was typed and what it held before.

Pure but for the look-up of resources, which is an argument.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchword.cli.errors import CommandFailed, WrongUsage

if TYPE_CHECKING:
    from issuer.registry.client import ResourcePermission
    from issuer.registry.resource import Resource
    from issuer.registry.schema import Json

Grants = tuple["ResourcePermission", ...]
FindResource = Callable[[str], "Resource"]


@dataclass(frozen=True, kw_only=True)
class GrantChoice:
    """What was typed about grants, each part well-formed by itself.

    Args:
        exact: grants as they shall be, instead of all that follows but `defaults`.
        resources: what the rest is about.
        scopes: instead of what is held.
        all_scopes: everything that the resources have now, instead of naming scopes.
        added: beside what is held.
        removed: no more.
        defaults: what a request that names no scope gets.
        forget_defaults: such a request gets everything again.
    """

    exact: Grants | None = None
    resources: Sequence[str] = ()
    scopes: Sequence[str] = ()
    all_scopes: bool = False
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    defaults: Sequence[str] = ()
    forget_defaults: bool = False

    def __bool__(self) -> bool:
        """Whether anything was typed."""
        typed = (self.resources, self.scopes, self.added, self.removed, self.defaults)
        return self.exact is not None or self.forget_defaults or any(typed)


def first_grants(choice: GrantChoice, find: FindResource) -> Grants:
    """Give a new client its grants.

    Raises:
        RegistryError: a resource or scope does not exist.
        WrongUsage: a default scope is not granted.
    """
    from issuer.registry.resource import decide_grants

    grants = choice.exact
    if grants is None:
        scopes = None if choice.all_scopes else choice.scopes
        grants = decide_grants([find(each) for each in choice.resources], scopes)
    return _with_defaults(grants, choice.defaults)


def changed_grants(choice: GrantChoice, held: Grants, find: FindResource) -> Grants:
    """Change the grants of a client.

    Raises:
        RegistryError: a resource or scope does not exist.
        CommandFailed: the client does not hold what it shall lose.
        WrongUsage: a default scope is not granted.
    """
    grants = held if choice.exact is None else choice.exact
    if choice.scopes:
        grants = _replaced(choice, held, find)
    if choice.added:
        grants = _widened(choice, grants, find)
    if choice.removed:
        grants = _narrowed(choice, grants)
    if choice.forget_defaults:
        grants = tuple(_grant(each, each.scopes, None) for each in grants)
    return _with_defaults(grants, choice.defaults)


def described(grants: Grants) -> "Json":
    """Return the member of a document that grants are."""
    from issuer.registry.representation import describe_grant

    return {"grants": [describe_grant(grant) for grant in grants]}


def _named(choice: GrantChoice, grants: Grants, option: str) -> Sequence[str]:
    """Return the resources that an option is about: those that were named, or else all held."""
    named = choice.resources or [each.resource for each in grants]
    if not named:
        raise WrongUsage(f"{option}: the client has no resource yet; name one with --resource")
    return named


def _replaced(choice: GrantChoice, held: Grants, find: FindResource) -> Grants:
    from issuer.registry.resource import decide_grants

    named = _named(choice, held, "--scope")
    before = {each.resource: each for each in held}
    granted = decide_grants(_having(choice, choice.scopes, named, find), choice.scopes)
    return tuple(_like(before.get(each.resource), each) for each in granted)


def _widened(choice: GrantChoice, grants: Grants, find: FindResource) -> Grants:
    from issuer.registry.resource import decide_grants

    named = _named(choice, grants, "--add-scope")
    granted = decide_grants(_having(choice, choice.added, named, find), choice.added)
    more = {each.resource: each for each in granted}
    widened = [_joined(each, more.pop(each.resource, None)) for each in grants]
    return (*widened, *more.values())


def _narrowed(choice: GrantChoice, grants: Grants) -> Grants:
    named = _named(choice, grants, "--remove-scope")
    held = {scope for each in grants if each.resource in named for scope in each.scopes}
    for scope in choice.removed:
        if scope not in held:
            where = f" on {', '.join(choice.resources)}" if choice.resources else ""
            raise CommandFailed(f"the client does not hold the scope{where}: {scope}")
    narrowed = [
        _without(each, choice.removed) if each.resource in named else each for each in grants
    ]
    return tuple(each for each in narrowed if each is not None)


def _having(
    choice: GrantChoice, scopes: Sequence[str], named: Sequence[str], find: FindResource
) -> "list[Resource]":
    """Look up resources; of those that nobody named, only the ones that have any of the scopes."""
    found = [find(each) for each in named]
    if choice.resources:
        return found
    return [each for each in found if set(scopes) & set(each.scopes)] or found


def _with_defaults(grants: Grants, defaults: Sequence[str]) -> Grants:
    if not defaults:
        return grants
    granted = {scope for each in grants for scope in each.scopes}
    if missing := [scope for scope in defaults if scope not in granted]:
        raise WrongUsage(*(f"--default-scope: {scope} is not granted" for scope in missing))
    return tuple(
        _grant(each, each.scopes, _kept(each.scopes, defaults) or each.default_scopes)
        for each in grants
    )


def _joined(grant: "ResourcePermission", more: "ResourcePermission | None") -> "ResourcePermission":
    if more is None:
        return grant
    scopes = tuple(dict.fromkeys(grant.scopes + more.scopes))
    return _grant(grant, scopes, grant.default_scopes)


def _without(grant: "ResourcePermission", gone: Sequence[str]) -> "ResourcePermission | None":
    scopes = tuple(scope for scope in grant.scopes if scope not in gone)
    return _like(grant, _grant(grant, scopes, None)) if scopes else None


def _like(before: "ResourcePermission | None", grant: "ResourcePermission") -> "ResourcePermission":
    """Keep what was the default, as far as it is still granted."""
    if before is None or before.default_scopes is None:
        return grant
    return _grant(grant, grant.scopes, _kept(before.default_scopes, grant.scopes) or None)


def _kept(scopes: Sequence[str], among: Sequence[str]) -> tuple[str, ...]:
    return tuple(scope for scope in scopes if scope in among)


def _grant(
    grant: "ResourcePermission", scopes: tuple[str, ...], defaults: tuple[str, ...] | None
) -> "ResourcePermission":
    from issuer.registry.client import ResourcePermission

    return ResourcePermission(resource=grant.resource, scopes=scopes, default_scopes=defaults)
