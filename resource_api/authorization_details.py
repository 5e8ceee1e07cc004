"""Authorization details on the API's side: read the claim, match what is needed (RFC 9396 §9.1).

What the members of a type mean is the API's own. Those that RFC 9396 §2.2 names for all types are
matched here: a need is met by one object that has all of it, never by two that have a part each.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple, TypedDict, Unpack

from resource_api.errors import InsufficientDetails, InvalidToken, Reason

Details = Iterable[Mapping[str, Any]]


class DetailsMembers(TypedDict, total=False):
    """What an object of a type must have, beside its `type` (RFC 9396 §2.2)."""

    actions: Collection[str]
    """Texts that must all be in its list of this name; an object without one does not do."""
    locations: Collection[str]
    """Likewise, as the two below."""
    datatypes: Collection[str]
    privileges: Collection[str]
    identifier: str | None
    """What its `identifier` must be; any or none will do where this is None."""


def check_details_claim(value: object) -> None:
    """Check that a claim is an array of objects, each with a `type` (RFC 9396 §2).

    Raises:
        InvalidToken: it is something else.
    """
    if isinstance(value, list) and all(
        isinstance(each, dict) and isinstance(each.get("type"), str) for each in value
    ):
        return
    raise InvalidToken(Reason.INVALID_DETAILS_CLAIM)


class NeededDetails(NamedTuple):
    """What one object has to have, by the members of RFC 9396 §2.2."""

    type: str
    lists: tuple[tuple[str, frozenset[str]], ...]
    identifier: str | None

    def find(self, details: Details) -> Mapping[str, Any] | None:
        """Return the first object that has all that is needed; None if there is none."""
        return next((each for each in details if self._is_met_by(each)), None)

    def require(self, details: Details) -> None:
        """Pass if one object has all that is needed.

        Raises:
            InsufficientDetails: none has.
        """
        if self.find(details) is None:
            raise InsufficientDetails

    def _is_met_by(self, found: Mapping[str, Any]) -> bool:
        if found["type"] != self.type:
            return False
        if self.identifier is not None and found.get("identifier") != self.identifier:
            return False
        # A member that is missing, or no list, allows nothing: what it would mean is not told.
        return all(
            isinstance(has := found.get(name), list) and all(each in has for each in needed)
            for name, needed in self.lists
        )


def needed_details(kind: str, **members: Unpack[DetailsMembers]) -> NeededDetails:
    """Say what is needed.

    Raises:
        ValueError: the type is empty, or a text stands where a collection of texts belongs.
    """
    named = {
        "actions": members.get("actions"),
        "locations": members.get("locations"),
        "datatypes": members.get("datatypes"),
        "privileges": members.get("privileges"),
    }
    if not kind or any(isinstance(each, str) for each in named.values()):
        raise ValueError("name a type; actions, locations, datatypes, privileges are collections")
    lists = tuple((name, frozenset(each)) for name, each in named.items() if each)
    return NeededDetails(kind, lists, members.get("identifier"))
