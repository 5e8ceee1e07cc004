"""What a route needs of a token, as values: `all_of`, `any_of`, `claim`, `details`.

RFC 6750 §3.1, RFC 9396 §9.1. Guards, dependencies and the documents of an API read the same value.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import chain, product
from typing import TYPE_CHECKING, TypeAlias, Unpack

from resource_api.authorization_details import DetailsMembers, NeededDetails, needed_details
from resource_api.errors import InsufficientClaim, InsufficientScope
from resource_api.scope import check_scope_names

if TYPE_CHECKING:
    from resource_api.access_token import AccessToken

Need: TypeAlias = "str | Requirement"
"""One thing that is needed: a scope by its name, or a requirement."""


class Requirement(ABC):
    """What a token must have; immutable, and equal to another one that demands the same."""

    __slots__ = ()

    @property
    def scopes(self) -> tuple[str, ...]:
        """What a challenge names (RFC 6750 §3): scopes that suffice, as far as scopes do."""
        return self.alternatives[0]

    @property
    @abstractmethod
    def alternatives(self) -> tuple[tuple[str, ...], ...]:
        """Every set of scopes that suffices, the preferred one first; at least one."""

    @property
    def parts(self) -> tuple[Need, ...]:
        """The needs that must all be met."""
        return (self,)

    @abstractmethod
    def check(self, token: "AccessToken") -> None:
        """Pass if a token meets the requirement.

        Raises:
            InsufficientScope: it does not.
        """

    @abstractmethod
    def __str__(self) -> str:
        """Say what is needed, without the values that claims and details must have."""


@dataclass(frozen=True, slots=True)
class _AllOf(Requirement):
    names: tuple[str, ...]
    others: tuple[Requirement, ...]

    @property
    def alternatives(self) -> tuple[tuple[str, ...], ...]:
        choices = product((self.names,), *(each.alternatives for each in self.others))
        return tuple(tuple(dict.fromkeys(chain(*choice))) for choice in choices)

    @property
    def parts(self) -> tuple[Need, ...]:
        return (*self.names, *self.others)

    def check(self, token: "AccessToken") -> None:
        # Names are compared whole and case-sensitively (RFC 6749 §3.3).
        if not token.scopes.issuperset(self.names):
            raise InsufficientScope(self.scopes)
        try:
            for each in self.others:
                each.check(token)
        except InsufficientScope as refusal:
            # All that is needed, not only what this part of it names (RFC 6750 §3.1).
            if refusal.needed:
                refusal.needed = self.scopes
            raise

    def __str__(self) -> str:
        return " and ".join(map(_write, self.parts))


@dataclass(frozen=True, slots=True)
class _AnyOf(Requirement):
    choices: tuple[Requirement, ...]

    @property
    def alternatives(self) -> tuple[tuple[str, ...], ...]:
        return tuple(dict.fromkeys(chain(*(each.alternatives for each in self.choices))))

    def check(self, token: "AccessToken") -> None:
        refusals = []
        for each in self.choices:
            try:
                each.check(token)
            except InsufficientScope as refusal:
                refusals.append(refusal)
            else:
                return
        raise refusals[0]

    def __str__(self) -> str:
        return " or ".join(map(_write, self.choices))


@dataclass(frozen=True, slots=True)
class _Claim(Requirement):
    name: str
    values: tuple[tuple[type, str | int], ...]
    """With their types, since `True` equals 1 in Python and not in JSON."""

    @property
    def alternatives(self) -> tuple[tuple[str, ...], ...]:
        return ((),)

    def check(self, token: "AccessToken") -> None:
        found = token.claims.get(self.name)
        has = found if isinstance(found, list) else [found]
        if not any((type(each), each) in self.values for each in has):
            raise InsufficientClaim

    def __str__(self) -> str:
        return f"claim {self.name}"


@dataclass(frozen=True, slots=True)
class _Details(Requirement):
    needed: NeededDetails

    @property
    def alternatives(self) -> tuple[tuple[str, ...], ...]:
        return ((),)

    def check(self, token: "AccessToken") -> None:
        self.needed.require(token.authorization_details)

    def __str__(self) -> str:
        return f"details {self.needed.type}"


def all_of(*needs: Need) -> Requirement:
    """Need everything that is named.

    Raises:
        ValueError: nothing is named, or what cannot be a scope.
        TypeError: something that is neither text nor a requirement.
    """
    parts: list[Need] = []
    for need in needs:
        if not isinstance(need, str | Requirement):
            raise TypeError(
                f"{need!r} is neither the name of a scope nor a requirement; write such as "
                '"orders:read", and several needs one after the other'
            )
        parts += need.parts if isinstance(need, Requirement) else [need]
    others = tuple(dict.fromkeys(each for each in parts if isinstance(each, Requirement)))
    names = tuple(dict.fromkeys(each for each in parts if not isinstance(each, Requirement)))
    if names or not others:
        check_scope_names(names)
    return others[0] if len(others) == 1 and not names else _AllOf(names, others)


def any_of(*needs: Need) -> Requirement:
    """Need one of what is named; the first is what challenges ask for.

    Raises:
        ValueError: fewer than two needs, or what cannot be a scope.
        TypeError: something that is neither text nor a requirement.
    """
    choices = tuple(dict.fromkeys(all_of(each) for each in needs))
    if len(choices) < 2:
        raise ValueError("any_of is for two needs or more")
    return _AnyOf(choices)


def claim(name: str, *values: str | int) -> Requirement:
    """Need a claim that is one of some values, or an array that has one of them.

    Args:
        name: of the claim, as it is written in the token.
        values: texts, whole numbers and booleans; compared with their type, and exactly.

    Raises:
        ValueError: no name or no value, or one that is neither of these.
    """
    if not name or not values or not all(isinstance(each, str | int) for each in values):
        raise ValueError("name a claim, and the texts, whole numbers or booleans that will do")
    return _Claim(name, tuple((type(each), each) for each in values))


def details(kind: str, **members: Unpack[DetailsMembers]) -> Requirement:
    """Need authorization details, all of them of one object (RFC 9396 §2.2).

    Args:
        kind: the `type` of the object.
        members: what else it must have.

    Raises:
        ValueError: no type, or a text in the place of a collection.
    """
    return _Details(needed_details(kind, **members))


def _write(need: Need) -> str:
    compound = isinstance(need, _AnyOf) or (isinstance(need, _AllOf) and len(need.parts) > 1)
    return f"({need})" if compound else str(need)
