"""Every way in which the issuer refuses a request has a reason of its own, the one in its log."""

import json
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from issuer.access_token import ClaimHook
from issuer.errors import Reason
from issuer.grants.authorization import Authorization
from issuer.limits import Limits
from issuer.registration import service
from issuer.registry.authorization_details import DetailsType
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.status.indexes import StatusIndexes
from issuer.status.positions import Status, StatusChange, status_claim
from keys.errors import SignerUnavailable
from tests.support.exchange import (
    ACCESS_TOKEN,
    FORGE,
    PLACE,
    exchange,
    issuer_of,
    make_service,
)
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
    make_secret,
)
from tests.support.reasons import Row, check_table
from tests.support.registration import JSON, BoundedBody, bearer, open_reception
from watchword.testing.forge import DROP

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


TWO_GRANTS = tuple(ResourcePermission(resource=each, scopes=("read",)) for each in (API, OTHER_API))
R = Reason
TOKEN_ROWS = [
    Row(R.METHOD_NOT_ALLOWED, "GET", sent(method="GET")),
    Row(R.MEDIA_TYPE, "JSON", sent(b"{}", JSON, GOOD)),
    Row(R.CONTENT_ENCODING, "gzip", sent(GRANT, FORM_LINE, GOOD, (b"content-encoding", b"gzip"))),
    Row(R.BODY_TOO_LARGE, "more than 64 KB", sent(GRANT + b"&x=" + b"x" * 65_536)),
    Row(R.MALFORMED_BODY, "a bad escape", sent(GRANT + b"&scope=%zz")),
    Row(R.MALFORMED_BODY, "no UTF-8", sent(GRANT + b"&scope=\xff")),
    Row(R.MALFORMED_BODY, "NUL", sent(GRANT + b"&scope=%00")),
    Row(R.MALFORMED_BODY, "too many parameters", sent(b"&".join([b"a=1"] * 10_000))),
    Row(R.REPEATED_PARAMETER, "scope twice", sent(GRANT + b"&scope=read&scope=read")),
    Row(R.CREDENTIALS_IN_QUERY, "a secret in the URL", sent(query=b"client_secret=x")),
    Row(R.SEVERAL_MECHANISMS, "Basic and body", sent(GRANT + b"&client_secret=x&client_id=a")),
    Row(R.CLIENT_ID_MISMATCH, "another client_id", sent(GRANT + b"&client_id=svc-b")),
    Row(R.NO_CREDENTIALS, "no credentials", sent(GRANT, FORM_LINE)),
    Row(R.UNSUPPORTED_SCHEME, "Digest", auth(b"Digest x")),
    Row(R.MALFORMED_BASIC, "no base64", auth(b"Basic !!!!")),
    Row(R.UNSUPPORTED_METHOD, "an assertion", sent(GRANT + b"&client_assertion=a.b.c", FORM_LINE)),
    Row(R.UNKNOWN_CLIENT, "nobody", auth(basic("nobody", SECRET))),
    Row(R.WRONG_SECRET, "another secret", auth(basic("svc-a", "wws_" + "x" * 43))),
    Row(
        R.SECRET_EXPIRED, "an ended secret", sent(client={"secrets": (make_secret(expires_at=9),)})
    ),
    Row(R.CLIENT_DISABLED, "a disabled client", sent(client={"disabled": True})),
    Row(R.CLIENT_EXPIRED, "an expired client", sent(client={"expires_at": NOW})),
    Row(
        R.TOO_MANY_FAILURES,
        "guesses beyond the limit",
        auth(basic("svc-a", "x" * 40), change=used_up(failed_auth=1)),
    ),
    Row(R.QUOTA_USED_UP, "tokens beyond the quota", sent(change=used_up(token_quota=1))),
    Row(R.GRANT_TYPE_MISSING, "no grant_type", sent(b"")),
    Row(R.UNSUPPORTED_GRANT, "password", sent(b"grant_type=password")),
    Row(R.GRANT_NOT_ALLOWED, "not the client's grant type", sent(client={"grant_types": ()})),
    Row(R.NOTHING_GRANTED, "no grants", sent(client={"grants": ()})),
    Row(R.DPOP_REQUIRED, "no DPoP proof", sent(client={"dpop_bound_access_tokens": True})),
    Row(
        R.CERTIFICATE_REQUIRED,
        "no client certificate",
        sent(client={"tls_client_certificate_bound_access_tokens": True}),
    ),
    Row(R.INVALID_TARGET, "an unknown resource", asked(("resource", "https://x.example"))),
    Row(R.INVALID_TARGET, "a resource that is no URI", asked(("resource", "orders"))),
    Row(R.INVALID_TARGET, "several resources", asked(*BOTH, client={"grants": TWO_GRANTS})),
    Row(R.MALFORMED_SCOPE, "two spaces", asked(("scope", "read  write"))),
    Row(R.SCOPE_NOT_ALLOWED, "a scope that is not granted", asked(("scope", "admin"))),
    Row(
        R.RESOURCES_DIFFER,
        "resources with other algorithms",
        asked(
            *BOTH,
            client={
                "grants": TWO_GRANTS,
                "several_resources": True,
                "policies": {API: TokenPolicy(), OTHER_API: TokenPolicy(signing_alg="ES256")},
            },
        ),
    ),
    Row(R.MALFORMED_DETAILS, "details that are no list", details({})),
    Row(R.DETAILS_NOT_ALLOWED, "a type that is not granted", details([{"type": "report"}])),
    Row(R.DETAILS_NOT_VALID, "not as the schema says", details([{"type": "payment"}])),
    Row(
        R.DETAILS_ELSEWHERE,
        "locations of another resource",
        details([{"type": "payment", "actions": [], "locations": [OTHER_API]}], ("resource", API)),
    ),
    Row(R.NO_SIGNING_KEY, "no key", sent(change=lambda issuer: setattr(issuer.keys, "key", None))),
    Row(
        R.SIGNER_UNAVAILABLE,
        "a signer that is away",
        sent(change=lambda issuer: setattr(issuer.keys, "key", AwaySigner())),
    ),
    Row(
        R.CLAIM_HOOK_FAILED,
        "a hook that raises",
        sent(change=lambda issuer: setattr(issuer, "hooks", [ClaimHook("h", fail)])),
    ),
    Row(R.NO_STATUS_INDEX, "no place on a list", sent(change=without_places)),
    Row(R.STORE_UNAVAILABLE, "no database", sent(change=without_store)),
    Row(
        R.INTERNAL,
        "a fault of ours",
        sent(change=lambda issuer: setattr(issuer.clients, "get_cached", fail)),
    ),
]
SENT_TOKEN_ROWS = [
    Row(R.TOKEN_MISSING, "no token", sent(b"", at="revocation")),
    Row(R.INTROSPECTS_NOTHING, "no right to introspect", sent(b"token=x", at="introspection")),
    Row(R.FOREIGN_TOKEN, "another client's", about(FORGE.token(client_id="svc-b"))),
    Row(R.NOT_REVOCABLE, "a token on no list", about(FORGE.token())),
    Row(R.TOKEN_TOO_LONG, "a token of more than 8 KB", signed(x="x" * 8192)),
    Row(R.MALFORMED_TOKEN, "no token at all", exchanged(b"x")),
    Row(R.WRONG_TYPE, "an ID token", signed(header={"typ": "JWT"})),
    Row(R.WRONG_ALGORITHM, "none", signed(header={"alg": "none"})),
    Row(R.FORBIDDEN_HEADER, "a key in the header", signed(header={"jwk": {}})),
    Row(R.INVALID_KID, "no kid", signed(header={"kid": DROP})),
    Row(R.UNKNOWN_KEY, "a key that is not published", signed(header={"kid": "x"})),
    Row(R.BAD_SIGNATURE, "another signature", exchanged(FORGE.token()[:-8] + b"AAAAAAAA")),
    Row(R.WRONG_ISSUER, "another issuer's", signed(iss="https://x.example")),
    Row(R.INVALID_TIME, "exp that is no number", signed(exp="x")),
    Row(R.EXPIRED, "exp is over", signed(iat=NOW - 9, exp=NOW)),
    Row(R.NOT_YET_VALID, "nbf ahead", signed(nbf=NOW + 1)),
    Row(R.LIFETIME_TOO_LONG, "a life of years", signed(exp=NOW + 10**8)),
    Row(R.INVALID_IDENTITY, "no jti", signed(jti=DROP)),
    Row(R.INVALID_STATUS, "a status that names no list", signed(status={})),
    Row(R.TOKEN_REVOKED, "revoked", exchanged(LISTED, Status.INVALID)),
    Row(R.TOKEN_SUSPENDED, "suspended", exchanged(LISTED, Status.SUSPENDED)),
]
EXCHANGE_ROWS = [
    Row(R.NOTHING_EXCHANGED, "no right to exchange", exchanged(service={"token_exchange": ()})),
    Row(R.SUBJECT_MISSING, "no subject_token", exchanged(subject_token=None)),
    Row(R.SUBJECT_TYPE, "a SAML assertion", exchanged(subject_token_type="saml2")),
    Row(R.ACTOR_TYPE, "an actor token without its type", exchanged(actor_token="x")),
    Row(
        R.ACTOR_TOKEN,
        "an actor token of nobody",
        exchanged(actor_token="x", actor_token_type=ACCESS_TOKEN),
    ),
    Row(R.REQUESTED_TYPE, "a refresh token", exchanged(requested_token_type="refresh_token")),
    Row(R.SUBJECT_AUDIENCE, "a token for another API", signed(aud=OTHER_API)),
    Row(R.SUBJECT_IS_OWN, "the client's own token", signed(client_id="orders")),
    Row(R.SUBJECT_BOUND, "a bound token", signed(cnf={"jkt": "x" * 43})),
    Row(R.SUBJECT_NOT_ACTIVE, "a client that is gone", signed(sub="gone", client_id="gone")),
    Row(R.SUBJECT_NOT_ALLOWED, "a subject that is not allowed", signed(sub="svc-b")),
    Row(R.MAY_NOT_ACT, "another may act", signed(may_act={"sub": "billing"})),
    Row(R.CHAIN_TOO_LONG, "a longer chain", signed(act={"sub": "svc-b"})),
    Row(R.SEVERAL_TARGETS, "two targets", exchanged(resource=OTHER_API, audience=API)),
    Row(
        R.TARGET_NOT_EXCHANGED,
        "another target",
        exchanged(service={"grants": TWO_GRANTS}, resource=API),
    ),
    Row(
        R.DETAILS_NOT_EXCHANGED,
        "details in an exchange",
        exchanged(authorization_details='[{"type":"payment"}]'),
    ),
]
REGISTRATION_ROWS = [
    Row(
        R.MALFORMED_AUTHORIZATION,
        "more than one token68",
        registered(lambda each: each.send((b"authorization", b"Bearer a b"), JSON)),
    ),
    Row(
        R.REGISTRATION_TOKEN,
        "no token of this issuer",
        registered(lambda each: each.send(bearer("x"), JSON)),
    ),
    Row(
        R.CLIENT_METADATA,
        "a redirect URI",
        registered(lambda each: each.register(redirect_uris=["https://x.example"])),
    ),
    Row(R.OVERLOADED, "too many registrations", registered(register_while_busy)),
]
ROWS = [*TOKEN_ROWS, *SENT_TOKEN_ROWS, *EXCHANGE_ROWS, *REGISTRATION_ROWS]
SHARED: Mapping[Reason, str] = {
    R.MALFORMED_BODY: "no library writes such a form, whichever rule it breaks",
    R.INVALID_TARGET: "the log has what was asked for, and the answer what is granted",
}


@pytest.mark.parametrize("row", ROWS, ids=[row.cause for row in ROWS])
async def test_a_refused_request_has_its_reason(row: Row) -> None:
    """The log says which check it was, whatever the answer says."""
    assert await row.ask() == row.reason


def test_every_reason_of_the_issuer_has_a_request_and_one_cause() -> None:
    """A new code needs a row; a second cause of a code needs a word why."""
    check_table(ROWS, Reason, SHARED, "tests/conformance/test_reasons_issuer.py")
