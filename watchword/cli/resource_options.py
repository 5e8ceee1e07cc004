"""What can be said of a resource on the command line, and the document or patch that it makes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchword.cli import option_values as values
from watchword.cli.errors import CommandFailed
from watchword.cli.mistakes import Mistakes

if TYPE_CHECKING:
    from issuer.registry.schema import Json

_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "token_ttl": ("token_ttl", values.parse_token_ttl),
    "alg": ("signing_alg", values.parse_signing_alg),
    "dpop": ("dpop_bound_access_tokens_required", bool),
    "certificate_bound": ("tls_client_certificate_bound_access_tokens", bool),
}
"""The member that each option fills, and how it is read."""

_UNSET = {"token-ttl": "token_ttl", "alg": "signing_alg"}

LABELS = {
    "resource": "URI",
    "scopes": "--scope",
    **{member: "--" + option.replace("_", "-") for option, (member, _) in _READERS.items()},
}
"""What people typed for the members of a resource's document."""


@dataclass(frozen=True, kw_only=True)
class ResourceOptions:
    """Options as they were typed; they are read later, with all that is wrong."""

    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="A scope that it has; repeat it for more."),
    ] = None
    token_ttl: Annotated[
        str | None,
        typer.Option(metavar="SECONDS", help="Lifetime of tokens for it, up to 86400."),
    ] = None
    alg: Annotated[
        str | None, typer.Option(metavar="ALG", help="How tokens for it are signed.")
    ] = None
    dpop: Annotated[
        bool | None,
        typer.Option("--dpop/--no-dpop", help="Only DPoP-bound tokens for it, or any."),
    ] = None
    certificate_bound: Annotated[
        bool | None,
        typer.Option(
            "--certificate-bound/--no-certificate-bound",
            help="Only certificate-bound tokens for it, or any.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ResourceChanges(ResourceOptions):
    """What can be said of a resource that exists already."""

    add_scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="A scope that it has from now on."),
    ] = None
    remove_scope: Annotated[
        list[str] | None,
        typer.Option(metavar="SCOPE", help="A scope that it loses; refused while clients hold it."),
    ] = None
    withdraw: Annotated[
        bool,
        typer.Option("--withdraw", help="Take the scopes that go from the clients that hold them."),
    ] = False
    unset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Take a value away again: token-ttl or alg."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ScopeChange:
    """What happens to a resource's scopes: all anew, or some come and some go."""

    scopes: Sequence[str] = ()
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    withdraw: bool = False

    def __bool__(self) -> bool:
        """Whether anything happens."""
        return bool(self.scopes or self.added or self.removed)

    def applied_to(self, held: Sequence[str]) -> list[str]:
        """Return the scopes as they become.

        Raises:
            CommandFailed: what shall go is not there.
        """
        if self.scopes:
            return list(self.scopes)
        for scope in self.removed:
            if scope not in held:
                raise CommandFailed(f"the resource has no scope {scope}")
        kept = [scope for scope in held if scope not in self.removed]
        return list(dict.fromkeys([*kept, *self.added]))


def checked_resource(identifier: str) -> Mistakes:
    """Begin the mistakes of a command with those of the resource that it is about."""
    mistakes = Mistakes()
    with mistakes.of("URI"):
        values.parse_resource(identifier)
    return mistakes


def read_members(options: ResourceOptions, mistakes: Mistakes) -> "Json":
    """Read what was typed, but for scopes."""
    members: Json = {}
    for option, (member, read) in _READERS.items():
        if (typed := getattr(options, option)) is not None:
            with mistakes.of("--" + option.replace("_", "-")):
                members[member] = read(typed)
    return members


def read_patch(changes: ResourceChanges, mistakes: Mistakes) -> "Json":
    """Read what was typed into a merge patch (RFC 7396), but for scopes."""
    patch = read_members(changes, mistakes)
    for name in changes.unset or ():
        if name not in _UNSET:
            mistakes.add(f"--unset: choose {' or '.join(_UNSET)}")
        elif _UNSET[name] in patch:
            mistakes.add(f"--unset {name}: it is set by another option as well")
        else:
            patch[_UNSET[name]] = None
    return patch


def read_scope_change(changes: ResourceChanges, mistakes: Mistakes) -> ScopeChange:
    """Read what was typed about scopes."""
    found: dict[str, list[str]] = {}
    for option in ("scope", "add_scope", "remove_scope"):
        with mistakes.of("--" + option.replace("_", "-")):
            found[option] = values.parse_scopes(getattr(changes, option) or ())
    if changes.scope:
        more = [("--add-scope", changes.add_scope), ("--remove-scope", changes.remove_scope)]
        mistakes.exclude("--scope", more)
    if changes.withdraw and not (changes.scope or changes.remove_scope):
        mistakes.add("--withdraw: name what goes, by --remove-scope, or by --scope what stays")
    return ScopeChange(
        scopes=found.get("scope", ()),
        added=found.get("add_scope", ()),
        removed=found.get("remove_scope", ()),
        withdraw=changes.withdraw,
    )
