"""The HTTP calls by which a test in another language tells a mock issuer what to do.

Each takes and gives JSON. The media type must say so, which no page in a browser can send to
another origin without being asked back.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from keys.encoding import parse_json_object
from watchword.testing.endpoints import JSON, Answer, Asked, json_answer
from watchword.testing.faults import Fault
from watchword.testing.forge import DROP

if TYPE_CHECKING:
    from watchword.testing.issuer import Issuer

PREFIX: Final = "/mock/"
_LONGEST_TURN = 100_000_000
_FLAGS = ("expired", "not_yet_valid", "wrong_issuer", "wrong_audience", "wrong_key", "revoked")
_TOKEN_MEMBERS: Mapping[str, type | tuple[type, ...]] = {
    "scope": (str, list),
    "audience": (str, list),
    "client_id": str,
    "subject": str,
    "lifetime": int,
    "profile": str,
    "claims": dict,
    "header": dict,
    **dict.fromkeys(_FLAGS, bool),
}
_FAULT_MEMBERS: Mapping[str, type | tuple[type, ...]] = {
    each.name: object for each in fields(Fault)
}


def control(issuer: "Issuer", asked: Asked) -> Answer:
    """Do what a call says; 400 with one line for a call that cannot be."""
    path = urlsplit(asked.url).path.removeprefix(PREFIX)
    methods = {method for method, each in CALLS if each == path}
    if not methods:
        return json_answer({"error": "there is no such call"}, status=404)
    if asked.method not in methods:
        allow = {"allow": ", ".join(sorted(methods))}
        return json_answer({"error": "use " + allow["allow"]}, status=405, headers=allow)
    members, call = CALLS[asked.method, path]
    try:
        return json_answer(call(issuer, _read(asked, members)))
    except ValueError as error:
        return json_answer({"error": str(error)}, status=400)


def _read(asked: Asked, members: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """Read the object that a call sends, which has no members but these."""
    if asked.method != "POST":
        return {}
    media_type = dict(asked.headers).get(b"content-type", b"").partition(b";")[0].strip()
    if media_type.lower() != JSON.encode():
        raise ValueError(f"content-type must be {JSON}")
    try:
        sent = parse_json_object(asked.body or b"{}")
    except ValueError:
        raise ValueError("the body must be a JSON object") from None
    for name, value in sent.items():
        if name not in members:
            raise ValueError(f"{name!a}: no such member; " + (", ".join(members) or "none"))
        kind = members[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{name} cannot be {value!a}")
    return sent


def _make_token(issuer: "Issuer", sent: dict[str, Any]) -> dict[str, Any]:
    for name in ("claims", "header"):
        # JSON has no `DROP`: what is null is left out.
        changes = sent.get(name, {}).items()
        sent[name] = {each: DROP if value is None else value for each, value in changes}
    for name in ("scope", "audience"):
        if not all(isinstance(each, str) for each in sent.get(name, ())):
            raise ValueError(f"{name} must be text or an array of text")
    return {"access_token": issuer.token(**sent), "token_type": "Bearer"}


def _add_fault(issuer: "Issuer", sent: dict[str, Any]) -> dict[str, Any]:
    issuer.fail(**sent)
    return {}


def _heal(issuer: "Issuer", sent: dict[str, Any]) -> dict[str, Any]:
    issuer.heal()
    return {}


def _rotate(issuer: "Issuer", sent: dict[str, Any]) -> dict[str, Any]:
    issuer.rotate()
    return {"kid": issuer.signing.jwk.kid}


def _withdraw(issuer: "Issuer", sent: dict[str, Any]) -> dict[str, Any]:
    issuer.withdraw_keys()
    return {"kid": issuer.signing.jwk.kid}


def _revoke(issuer: "Issuer", sent: dict[str, Any]) -> dict[str, Any]:
    issuer.revoke(sent.get("token", ""))
    return {}


def _turn_clock(issuer: "Issuer", sent: dict[str, Any]) -> dict[str, Any]:
    seconds = sent.get("advance", 0)
    if abs(seconds) > _LONGEST_TURN:
        raise ValueError(f"advance must be at most {_LONGEST_TURN} seconds, either way")
    issuer.clock.advance(seconds)
    return {"now": int(issuer.clock())}


def _count(issuer: "Issuer", sent: dict[str, Any]) -> dict[str, Any]:
    return dict(issuer.requests)


CALLS: Mapping[
    tuple[str, str],
    tuple[
        Mapping[str, type | tuple[type, ...]],
        Callable[["Issuer", dict[str, Any]], dict[str, Any]],
    ],
] = {
    ("POST", "tokens"): (_TOKEN_MEMBERS, _make_token),
    ("POST", "faults"): (_FAULT_MEMBERS, _add_fault),
    ("DELETE", "faults"): ({}, _heal),
    ("POST", "rotation"): ({}, _rotate),
    ("POST", "withdrawal"): ({}, _withdraw),
    ("POST", "revocations"): ({"token": str}, _revoke),
    ("POST", "clock"): ({"advance": int}, _turn_clock),
    ("GET", "requests"): ({}, _count),
}
"""By method and path below `PREFIX`: what a call sends, and what does it."""
