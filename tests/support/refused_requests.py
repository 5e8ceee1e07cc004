"""Requests that an issuer in memory refuses; each returns the reason in its log."""

import json
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ExtensionType, load_pem_x509_certificates

from issuer.grants.authorization import Authorization
from issuer.limits import Limits
from issuer.registration import service
from issuer.registry.authorization_details import DetailsType
from issuer.registry.grant_types import JWT_BEARER
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.status.indexes import StatusIndexes
from issuer.status.positions import Status, StatusChange, status_claim
from keys.errors import NoKeySet, SignerUnavailable
from keys.jwk import PublicJwk
from tests.support.assertions import form_of, jwk_of
from tests.support.certificates import FOR_CLIENTS, Authority, Certificate, self_signed
from tests.support.exchange import (
    FORGE,
    PLACE,
    exchange,
    issuer_of,
    make_service,
)
from tests.support.federation import CLUSTER_KEY, FederatedIssuer, workload
from tests.support.hot_store import SharedStore
from tests.support.issuer import (
    API,
    FORM,
    ISSUER,
    NOW,
    OTHER_API,
    SECRET,
    Answer,
    Clients,
    TestIssuer,
    basic,
    call,
    make_client,
)
from tests.support.registration import BoundedBody, open_reception
from tests.support.workload_tokens import KUBERNETES
from tests.support.workload_tokens import signed as signed_token

Ask = Callable[[], Awaitable[object]]
Change = Callable[[TestIssuer], object]

FORM_LINE = (b"content-type", FORM.encode())
GOOD = (b"authorization", basic("svc-a", SECRET))
GRANT = b"grant_type=client_credentials"
LISTED = FORGE.token(status=status_claim(PLACE, ISSUER))
BOTH = (("resource", API), ("resource", OTHER_API))


def sent(
    body: bytes = GRANT,
    *lines: tuple[bytes, bytes],
    change: Change = lambda issuer: None,
    at: str = "endpoint",
    client: Mapping[str, Any] | None = None,
    **options: Any,
) -> Ask:
    """Send a form to an endpoint of an issuer that was changed as named."""

    async def send() -> object:
        clients = Clients(make_client(**(client or {})), make_client("svc-b"))
        issuer = TestIssuer(clients=clients)
        change(issuer)
        headers = [FORM_LINE, GOOD] if not lines else list(lines)
        method, query = options.get("method", "POST"), options.get("query", b"")
        await call(getattr(issuer, at), method, "/", headers, body, query)
        return issuer.events[-1][1]["reason"]

    return send


def shown(kind: str, **options: Any) -> Ask:
    """Show a certificate: issued by the authority that is trusted, its own, or one self-made."""

    async def send() -> object:
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(Path(folder))
            issue = authority.issue if kind == "issued" else partial(_self_made, Path(folder))
            trusted = load_pem_x509_certificates(authority.file.read_bytes())
            chain = (trusted[0].public_bytes(Encoding.DER),)
            if kind != "authority":
                chain = issue("svc", FOR_CLIENTS, **options).chain
            issuer = TestIssuer(
                clients=Clients(make_client(**(client or NAMED))),
                certificates=trusted,
                now=int(datetime.now(UTC).timestamp()),
            )
        body = GRANT + b"&client_id=svc-a"
        await call(issuer.endpoint, "POST", "/", [FORM_LINE], body, chain=chain)
        return issuer.events[-1][1]["reason"]

    client = options.pop("client", None)
    return send


def _self_made(folder: Path, name: str, *extensions: ExtensionType, **options: Any) -> Certificate:
    return self_signed(folder / name, *extensions, **options)


def asked(*fields: tuple[str, str], **options: Any) -> Ask:
    """Ask for a token with further fields."""
    form = urlencode((("grant_type", "client_credentials"), *fields))
    return sent(form.encode(), **options)


def about(token: bytes, **options: Any) -> Ask:
    """Send a token to the revocation endpoint."""
    return sent(urlencode({"token": token.decode()}).encode(), at="revocation", **options)


def used_up(**limits: int) -> Change:
    """Have a client fail once, and get one token, under these limits."""

    def change(issuer: TestIssuer) -> None:
        issuer.limits = Limits(**limits)
        issuer.limits.note_failure("svc-a", None, NOW)
        issuer.limits.take_token(Authorization("svc-a", "svc-a", API, (), 60), NOW)

    return change


def auth(value: bytes, **options: Any) -> Ask:
    """Authenticate by another Authorization header."""
    return sent(GRANT, FORM_LINE, (b"authorization", value), **options)


def exchanged(
    token: bytes | None = None,
    status: Status | None = None,
    service: Mapping[str, Any] | None = None,
    **form: str | None,
) -> Ask:
    """Exchange a token, which the token endpoint judges first."""

    async def send() -> object:
        issuer = issuer_of(make_service(**(service or {})), make_client("svc-b"))
        if status is not None:
            changes = [StatusChange(1, *PLACE, 1, status)]
            issuer.statuses.apply(changes, NOW, counts={PLACE.bucket: PLACE.index + 1})
        await exchange(issuer, FORGE.token() if token is None else token, **form)
        return issuer.events[-1][1]["reason"]

    return send


def signed(*, header: Mapping[str, Any] | None = None, **claims: Any) -> Ask:
    """Exchange a token that is good but for one change."""
    return exchanged(FORGE.token(header=header, **claims))


def registered(send: Callable[[BoundedBody], Awaitable[Answer]]) -> Ask:
    """Send something to the registration endpoint."""

    async def ask() -> object:
        with tempfile.TemporaryDirectory() as folder, open_reception(Path(folder)) as reception:
            await send(reception)
            return reception.events[-1][1]["reason"]

    return ask


async def register_while_busy(reception: BoundedBody) -> Answer:
    """Register while all places of the queue are taken."""
    token = reception.token()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "MAX_WAITING", 0)
        return await reception.register(token)


def details(value: object, *further: tuple[str, str]) -> Ask:
    """Ask for authorization details."""
    schema = {"properties": {"actions": {}, "locations": {}}, "required": ["actions"]}
    types = {name: DetailsType(type=name, schema=schema) for name in ("payment", "report")}
    client = {
        "grants": (
            ResourcePermission(
                resource=API, scopes=("read",), authorization_details_types=("payment",)
            ),
            ResourcePermission(resource=OTHER_API, scopes=("read",)),
        ),
        "policies": {
            API: TokenPolicy(authorization_details_types=tuple(types.values())),
            OTHER_API: TokenPolicy(),
        },
    }
    return asked(("authorization_details", json.dumps(value)), *further, client=client)


class AwaySigner:
    """What keeps the private key does not answer."""

    kid, alg = "k", "RS256"

    async def sign(self, signing_input: bytes) -> bytes:
        """Fail."""
        raise SignerUnavailable("no answer")


def fail(*arguments: object) -> Any:
    """Do what nobody foresaw."""
    raise ZeroDivisionError


def without_places(issuer: TestIssuer) -> None:
    """Have no place on a status list, and no store that gives one."""
    store = SharedStore()
    store.away = True
    issuer.indexes = StatusIndexes(
        store, new_random=secrets.token_bytes, events=lambda *_, **__: None
    )


def without_store(issuer: TestIssuer) -> None:
    """Take the registry away, and what is in memory."""
    issuer.clients.store_is_down = True
    issuer.clients.known.clear()


NAMED = {
    "token_endpoint_auth_method": "tls_client_auth",
    "tls_client_auth_subject_dn": "CN=svc",
    "secrets": (),
}
"""A client that is known by the name in its certificate."""

ASSERTING = {
    "token_endpoint_auth_method": "private_key_jwt",
    "jwks": {"keys": [jwk_of()]},
    "secrets": (),
}
OWN_KID = {"kid": jwk_of()["kid"]}


class UnreadableSet:
    """A key set that cannot be fetched."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def current(self) -> None:
        """Have none."""

    async def warm(self) -> bool:
        """Fetch in vain."""
        return False

    async def key(self, kid: str, alg: str) -> PublicJwk:
        """Fetch in vain."""
        raise NoKeySet(1)


def asserted(assertion: str, **options: Any) -> Ask:
    """Authenticate with an assertion."""
    form = urlencode({"grant_type": "client_credentials", **form_of(assertion)}).encode()
    return sent(form, FORM_LINE, **{"client": ASSERTING, **options})


def signed_workload(**claims: object) -> str:
    """Sign the token of a service account, changed as named."""
    return signed_token(CLUSTER_KEY, KUBERNETES | claims)


def granted(token: str, *, away: bool = False) -> Ask:
    """Use a token of a platform as the grant, whose keys may be away."""

    async def send() -> object:
        place = FederatedIssuer(workload(grant_types=(JWT_BEARER,)))
        for each in place.sets.values():
            each.away = away
        await place.grant(token)
        return place.told["reason"]

    return send


def seen(issuer: TestIssuer) -> None:
    """Have the id of an assertion claimed."""
    issuer.store.claims.append(("assertion svc-a", "seen", NOW + 60))
