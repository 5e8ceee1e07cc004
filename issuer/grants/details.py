"""What a request asks for in authorization details, and whether the client may (RFC 9396 §2, §6).

Pure. The schemas of the types are those of the resources that the token is for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from issuer.errors import InvalidAuthorizationDetails, Reason, listing
from issuer.registry.client import Client
from issuer.registry.permission import ResourcePermission
from keys.encoding import parse_json_array

MAX_DETAILS_BYTES = 4096
"""Of the parameter in UTF-8: what is granted travels with every request of the client."""

_LARGEST_INTEGER = 2**53 - 1
"""RFC 7493 §2.2: larger ones are not the same number to every reader."""

Details = tuple[Mapping[str, Any], ...]


def parse_details(text: str, client_id: str) -> Details:
    """Read the parameter `authorization_details`: an array of objects, each with a `type`.

    Args:
        text: as sent.
        client_id: the client, for the log.

    Raises:
        InvalidAuthorizationDetails: it is something else, or could mean different things to
            different readers: a repeated name, NaN, a number that is too large; or is too long.
    """
    raw = text.encode("utf-8")
    if len(raw) > MAX_DETAILS_BYTES:
        raise _malformed(f"more than {MAX_DETAILS_BYTES} bytes", client_id)
    try:
        found = parse_json_array(raw)
    except ValueError:
        raise _malformed("not a JSON array, or one with repeated names", client_id) from None
    if not found:
        raise _malformed("an array without objects", client_id)
    for each in found:
        # RFC 9396 §2: type is REQUIRED.
        if not isinstance(each, dict) or not isinstance(each.get("type"), str):
            raise _malformed("each must be an object with a type", client_id)
    if any(abs(number) > _LARGEST_INTEGER for number in _integers(found)):
        raise _malformed("a number is too large", client_id)
    return tuple(found)


def _malformed(why: str, client_id: str) -> InvalidAuthorizationDetails:
    return InvalidAuthorizationDetails(
        Reason.MALFORMED_DETAILS, f"authorization_details: {why}", client_id=client_id
    )


def _integers(value: object) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _integers(each)


def are_granted(details: Details, permission: ResourcePermission) -> bool:
    """Tell whether a permission has the types of all details, and all are for its resource."""
    return all(
        each["type"] in permission.authorization_details_types
        and each.get("locations", [permission.resource]) == [permission.resource]
        for each in details
    )


def check_details(
    details: Details, targets: Sequence[ResourcePermission], client: Client
) -> Details:
    """Return details unchanged if the client may have them on every resource of the token.

    Args:
        details: as asked.
        targets: the client's permission on each resource that the token is for.
        client: the client, with what the resources say of their types.

    Raises:
        InvalidAuthorizationDetails: a type is not granted, an object is not as the schema of its
            type says, or its `locations` name another resource.
    """
    resources = [each.resource for each in targets]
    for number, each in enumerate(details, 1):
        for target in targets:
            _check_type(each, number, target, client)
        # RFC 9396 §2.2: where the rights count; a token for another place would be of no use.
        places = each.get("locations", resources)
        if not (isinstance(places, list) and places and all(one in resources for one in places)):
            why = listing(f"object {number}: locations must be among", resources)
            raise InvalidAuthorizationDetails(
                Reason.DETAILS_ELSEWHERE, why, client_id=client.client_id, asked=each["type"]
            )
    return details


def _check_type(
    value: Mapping[str, Any], number: int, target: ResourcePermission, client: Client
) -> None:
    name = value["type"]
    known = client.policies[target.resource].authorization_details_types
    found = next((each for each in known if each.type == name), None)
    if found is None or name not in target.authorization_details_types:
        raise type_not_allowed((value,), (target,), client.client_id)
    # The place is the operator's text, and nothing of the client's.
    if place := found.fault(value):
        why = listing(f"object {number} is not as the schema of its type says", [place])
        raise InvalidAuthorizationDetails(
            Reason.DETAILS_NOT_VALID, why, client_id=client.client_id, asked=name
        )


def type_not_allowed(
    details: Details, permissions: Sequence[ResourcePermission], client_id: str
) -> InvalidAuthorizationDetails:
    """Refuse details whose types no permission, or none alone, has; say which there are."""
    granted = dict.fromkeys(
        name for each in permissions for name in each.authorization_details_types
    )
    asked = [each["type"] for each in details]
    if all(name in granted for name in asked):
        why = "the authorization details belong to several resources: name one with resource"
    else:
        why = listing("this client may ask for the types of authorization details", granted)
    return InvalidAuthorizationDetails(
        Reason.DETAILS_NOT_ALLOWED, why, client_id=client_id, asked=" ".join(asked)
    )
