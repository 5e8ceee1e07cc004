"""A scenario of the administrator's operations, on either implementation, and its transcript."""

import json
import re
from collections.abc import Callable
from typing import Any

from issuer.administration.declaration.document import read_sent
from issuer.administration.local import Administration
from issuer.administration.operations import Versioned
from issuer.registry.errors import RegistryError
from tests.support.keys import public_rsa_jwk
from watchword.remote_administration import RemoteAdministration

BILLS = "https://bills.example/v1?x=%2F"
_SECRET = "a secret that somebody brought along"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_NUMBER = re.compile(r'"number": \d+')
_MADE = re.compile(r"wws_[\w-]{43}|wwr_[0-9a-f]{16}_[\w-]{43}|\b[0-9a-f]{16}\b|\b[0-9a-f]{10}\b")

Operations = Administration | RemoteAdministration


def run_scenario(operations: Operations) -> list[str]:
    """Run every step; return the result of each, without what differs from run to run."""
    transcript: list[str] = []

    def note(what: Callable[[], Any]) -> Any:
        try:
            result = what()
        except RegistryError as error:
            transcript.append(f"{type(error).__name__}: {error}")
            return None
        transcript.append(_comparable(result))
        return result

    _monday(operations, note)
    _tuesday(operations, note)
    _wednesday(operations, note)
    _thursday(operations, note)
    _thursday_night(operations, note)
    _friday(operations, note)
    return transcript


Note = Callable[[Callable[[], Any]], Any]


def _monday(operations: Operations, note: Note) -> None:
    """New APIs and new services."""
    note(lambda: operations.create_resource({"resource": BILLS, "scopes": ["read", "pay"]}))
    note(lambda: operations.create_resource({"resource": BILLS, "scopes": ["read"]}))
    note(lambda: operations.create_resource({"resource": "no uri", "scopes": []}))
    note(lambda: operations.create_client({"client_id": "till", "all_scopes": True}))
    note(lambda: operations.create_client({"client_id": "till", "all_scopes": True}))
    note(
        lambda: operations.create_client(
            {"client_id": "a/b%", "resources": [BILLS], "scope": "pay", "client_secret": _SECRET}
        )
    )
    note(
        lambda: operations.create_client(
            {
                "client_id": "keys",
                "token_endpoint_auth_method": "private_key_jwt",
                "jwks": {"keys": [public_rsa_jwk().members()]},
                "grants": [{"resource": BILLS, "scope": "read pay", "default_scope": "read"}],
                "expires_at": "2040-01-01T00:00:00Z",
            }
        )
    )
    note(lambda: operations.create_client({"client_id": "x y", "scope": "a  b", "tokens": 1}))
    note(lambda: operations.create_client({"client_id": "x", "scope": "fly"}))
    note(lambda: operations.create_client({"client_id": "x", "resources": ["urn:nowhere"]}))


def _tuesday(operations: Operations, note: Note) -> None:
    """Changes."""
    shown = note(lambda: operations.show_client("till"))
    note(lambda: operations.update_client("till", {"client_name": "Kasse № 1"}))
    note(lambda: operations.update_client("till", {"scope": "read"}, revision=shown.revision))
    note(lambda: operations.update_client("a/b%", {"scope": "read pay", "disabled": True}))
    note(lambda: operations.update_client("a/b%", {"client_id": "b", "secret": None}))
    note(lambda: operations.update_client("nobody", {}))
    note(lambda: operations.update_client("till", {"scope": "fly"}))
    note(lambda: operations.update_resource(BILLS, {"scopes": ["pay"]}))
    note(lambda: operations.update_resource(BILLS, {"scopes": ["pay"]}, withdraw=True))
    note(lambda: operations.update_resource("urn:nowhere", {}))


def _wednesday(operations: Operations, note: Note) -> None:
    """Secrets."""
    added = note(lambda: operations.add_secret("till", {}, idempotency_key="wednesday"))
    note(lambda: operations.add_secret("till", {}, idempotency_key="wednesday"))
    note(lambda: operations.add_secret("till", {"expires_in": 9}, idempotency_key="wednesday"))
    note(lambda: operations.add_secret("keys", {}))
    note(lambda: operations.add_secret("nobody", {}))
    note(lambda: operations.revoke_secret("till", added.document["secret_id"]))
    note(lambda: operations.revoke_secret("till", "0"))
    note(lambda: operations.list_secrets("till"))


def _thursday(operations: Operations, note: Note) -> None:
    """Others register, and a file is applied."""
    grants = [{"resource": BILLS, "scope": "pay"}]
    made = note(lambda: operations.create_registration_token({"grants": grants, "uses": 2}))
    note(operations.list_registration_tokens)
    note(lambda: operations.revoke_registration_token(made.document["token_id"]))
    note(lambda: operations.revoke_registration_token("0" * 16))
    declaration = read_sent({"clients": [{"client_id": "filed", "grants": grants, "secrets": []}]})
    note(lambda: operations.apply(declaration, dry_run=True))
    note(lambda: operations.apply(declaration))
    hanging = [{"resource": "urn:x", "scope": "y"}]
    wrong = read_sent({"clients": [{"client_id": "filed", "grants": hanging}]})
    note(lambda: operations.apply(wrong))


def _thursday_night(operations: Operations, note: Note) -> None:
    """Revoke tokens that there are not, wrongly and rightly."""
    for selection in (
        {"client_id": "till"},
        {"client_id": "nobody"},
        {"resource": "urn:nowhere"},
        {"jti": "x"},
        {"token": "x", "resource": BILLS},
        {"issued_before": "2020-01-01T00:00:00Z"},
        {},
    ):
        for dry_run in (True, False):
            document = {"action": "suspend", "dry_run": dry_run, **selection}
            note(lambda document=document: operations.change_tokens(document))
    note(lambda: operations.update_client("till", {"client_name": "K"}, revoke_tokens=True))


def _friday(operations: Operations, note: Note) -> None:
    """Tidying up, and a look at all of it."""
    note(lambda: operations.delete_resource(BILLS))
    note(lambda: operations.delete_client("keys", revoke_tokens=True))
    note(lambda: operations.delete_client("keys"))
    note(lambda: operations.show_client("a/b%"))
    page = note(lambda: operations.list_clients(limit=2))
    note(lambda: operations.list_clients(after=page.next))
    note(operations.list_resources)
    note(lambda: operations.show_resource(BILLS))
    note(lambda: operations.list_audit(target="till"))


def _comparable(result: Any) -> str:
    """Write a result without times, revisions and what was drawn at random.

    Nor numbers of the trail, in which a server may note something of its keys meanwhile.
    """
    text = json.dumps(result, default=_plain, sort_keys=True)
    return _NUMBER.sub('"number": N', _MADE.sub("MADE", _TIME.sub("TIME", text)))


def _plain(value: Any) -> Any:
    if isinstance(value, Versioned):
        return {"document": value.document, "replayed": value.replayed}
    return {"items": value.items, "next": value.next}
