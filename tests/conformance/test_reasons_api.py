"""Every way in which an API refuses a request has a reason of its own, the one in its log."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from keys.dpop_nonce import Nonces
from keys.replay import ReplayStoreUnavailable
from resource_api.access_token import verify
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, Reason
from resource_api.guard import require, require_details
from resource_api.possession import Binding
from resource_api.requirements import claim
from resource_api.status_list import StatusList
from tests.support.attack import ATTACKER, FORGE, GOOD, HEADER, OTHER_KEY, PAYLOAD, SIGNATURE
from tests.support.bound_tokens import CERTIFICATE_BOUND, KEY_BOUND, OTHER_PEM, SENDER, send
from tests.support.dpop import ProofForge
from tests.support.listed_api import Lists
from tests.support.protected_api import ProtectedApi, ask, bearer
from tests.support.reasons import Row, check_table
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE
from watchword.testing.status_lists import pack, status

LIST = f"{ISSUER}/status-lists/1"
STATUSES = StatusList(pack((0, 1, 2, 3), 2), 2, issued_at=NOW, expires_at=NOW + 60, ttl=8)
Ask = Callable[[], Awaitable[object]]


def sent(*values: bytes) -> Ask:
    """Send these Authorization lines."""

    async def send() -> object:
        api = ProtectedApi(FORGE)
        await ask(api.app, "GET", "/read", *((b"authorization", value) for value in values))
        return api.reason

    return send


def shown(token: bytes = GOOD, *, keys_fail: bool = False, **options: Any) -> Ask:
    """Send a token as Bearer."""

    async def send() -> object:
        api = ProtectedApi(FORGE, **options)
        api.issuer.fails = ConnectionError() if keys_fail else None
        await ask(api.app, "GET", "/read", bearer(token))
        return api.reason

    return send


def forged(*, header: Mapping[str, Any] | None = None, **claims: Any) -> Ask:
    """Send a good token with one change, well signed."""
    return shown(FORGE.token(header=header, **claims))


def listed(idx: int, statuses: StatusList | None = STATUSES) -> Ask:
    """Send a token that has a place on a list."""
    return shown(FORGE.token(status=status(LIST, idx)), status_lists=Lists(statuses))


def guarded(guard: Any) -> Ask:
    """Send a good token to a route that wants more."""

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("not to be reached")

    return shown(app=guard.app(endpoint))


async def verified_without_lists() -> object:
    """Validate a token that has a status where no list is looked at."""
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
    token = FORGE.token(status=status(LIST))
    with pytest.raises(InvalidToken) as refusal:
        verify(token, FORGE.keys, policy, now=NOW)
    return refusal.value.reason


async def verified_without_request() -> object:
    """Validate a bound token where nobody tells what the sender shows besides."""
    with pytest.raises(InvalidToken) as refusal:
        verify(KEY_BOUND, FORGE.keys, ResourcePolicy(issuer=ISSUER, resource=RESOURCE), now=NOW)
    return refusal.value.reason


class StoreAway:
    """A store of used proofs that does not answer."""

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Refuse: nothing is known."""
        raise ReplayStoreUnavailable


def proven(token: bytes, *proofs: bytes, times: int = 1, **options: Any) -> Ask:
    """Send a bound token by a trusted proxy, with what is to prove possession."""
    binding = {name: options.pop(name) for name in ("nonces", "replays") if name in options}
    scheme = b"DPoP " if token is KEY_BOUND else b"Bearer "
    proxy = None if "pem" in options else "10.0.0.7"

    async def send_it() -> object:
        api = ProtectedApi(FORGE, binding=Binding(trusted_proxies=("10.0.0.7",), **binding))
        for _ in range(times):
            await send(api, token, *proofs, scheme=scheme, client=proxy, **options)
        return api.reason

    return send_it


def wrongly(**changes: Any) -> Ask:
    """Send a bound token with a good proof that is changed in one thing."""
    return proven(KEY_BOUND, SENDER.proof(token=KEY_BOUND, **changes))


R = Reason
BOUND_ONLY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, binding_required="any")
LISTED_ONLY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, status_required=True)
PROOF = SENDER.proof(token=KEY_BOUND)
STRANGER = ProofForge(n=1, method=SENDER.method, url=SENDER.url)
ROWS = [
    Row(R.NO_CREDENTIALS, "no Authorization header", sent()),
    Row(R.FOREIGN_SCHEME, "another scheme", sent(b"Basic eDp5")),
    Row(R.MALFORMED_AUTHORIZATION, "more than one token68", sent(b"Bearer a b")),
    Row(R.SEVERAL_CREDENTIALS, "two Authorization headers", sent(b"Bearer a", b"Bearer b")),
    Row(R.TOKEN_TOO_LONG, "more than 8 KB", forged(x="x" * 8192)),
    Row(R.MALFORMED_TOKEN, "two parts", shown(b"a.b")),
    Row(R.MALFORMED_TOKEN, "crit", forged(header={"crit": ["exp"]})),
    Row(R.MALFORMED_TOKEN, "claims that are no JSON", shown(HEADER + b".eA." + SIGNATURE)),
    Row(R.WRONG_TYPE, "an ID token", forged(header={"typ": "JWT"})),
    Row(R.WRONG_ALGORITHM, "none", forged(header={"alg": "none"})),
    Row(R.FORBIDDEN_HEADER, "a key in the header", forged(header={"jwk": ATTACKER})),
    Row(R.INVALID_KID, "no kid", forged(header={"kid": DROP})),
    Row(R.UNKNOWN_KEY, "a kid that is not published", shown(OTHER_KEY.token())),
    Row(R.BAD_SIGNATURE, "another signature", shown(HEADER + b"." + PAYLOAD + b".AAAA")),
    Row(R.WRONG_ISSUER, "another iss", forged(iss=ISSUER + "/")),
    Row(R.WRONG_AUDIENCE, "another aud", forged(aud="https://other.example")),
    Row(R.INVALID_TIME, "exp that is no number", forged(exp="x")),
    Row(R.INVALID_TIME, "exp before iat", forged(iat=NOW, exp=NOW - 5)),
    Row(R.EXPIRED, "exp is over", forged(iat=NOW - 99, exp=NOW - 10)),
    Row(R.NOT_YET_VALID, "nbf ahead", forged(nbf=NOW + 11)),
    Row(R.NOT_YET_VALID, "iat ahead", forged(iat=NOW + 61)),
    Row(R.LIFETIME_TOO_LONG, "more than a day", forged(exp=NOW + 90_000)),
    Row(R.INVALID_IDENTITY, "no sub", forged(sub=DROP)),
    Row(R.INVALID_CONFIRMATION, "a cnf that binds to nothing we know", forged(cnf={"jkt": "x"})),
    Row(R.BINDING_REQUIRED, "a bearer token where bound ones are wanted", shown(policy=BOUND_ONLY)),
    Row(R.UNCHECKED_BINDING, "a bound token and no request", verified_without_request),
    Row(R.SENDER_CONSTRAINED, "a bound token as Bearer", shown(KEY_BOUND)),
    Row(R.UNBOUND_TOKEN, "a bearer token as DPoP", sent(b"DPoP " + GOOD)),
    Row(R.NO_CERTIFICATE, "a certificate is lacking", shown(CERTIFICATE_BOUND)),
    Row(R.WRONG_CERTIFICATE, "another certificate", proven(CERTIFICATE_BOUND, pem=OTHER_PEM)),
    Row(
        R.MALFORMED_CERTIFICATE,
        "Client-Cert that is no certificate",
        proven(CERTIFICATE_BOUND, more=((b"client-cert", b"x"),)),
    ),
    Row(
        R.WRONG_PROOF_KEY, "the key of another", proven(KEY_BOUND, STRANGER.proof(token=KEY_BOUND))
    ),
    Row(R.REPLAYS_UNAVAILABLE, "the store is away", proven(KEY_BOUND, PROOF, replays=StoreAway())),
    Row(R.PROOF_MISSING, "no proof", proven(KEY_BOUND)),
    Row(R.PROOF_SEVERAL, "two proofs", proven(KEY_BOUND, PROOF, PROOF)),
    Row(R.PROOF_TOO_LONG, "a proof of 4 KB", proven(KEY_BOUND, b"x" * 4097)),
    Row(R.PROOF_MALFORMED, "a proof of two parts", proven(KEY_BOUND, b"a.b")),
    Row(R.PROOF_TYPE, "a token as proof", proven(KEY_BOUND, KEY_BOUND)),
    Row(R.PROOF_ALGORITHM, "a proof by HS256", wrongly(header={"alg": "HS256"})),
    Row(R.PROOF_KEY, "a proof without a key", wrongly(header={"jwk": DROP})),
    Row(R.PROOF_SIGNATURE, "a proof signed by another", wrongly(header={"jwk": STRANGER.jwk})),
    Row(R.PROOF_CLAIMS, "a proof without jti", wrongly(jti=DROP)),
    Row(R.PROOF_METHOD, "a proof for POST", wrongly(htm="POST")),
    Row(R.PROOF_URL, "a proof for another URL", wrongly(htu="https://other.example/read")),
    Row(R.PROOF_TIME, "a proof of yesterday", wrongly(iat=NOW - 86_400)),
    Row(R.PROOF_TOKEN, "a proof for another token", wrongly(ath="x")),
    Row(R.PROOF_NONCE, "no nonce", proven(KEY_BOUND, PROOF, nonces=Nonces(bytes(32)))),
    Row(R.PROOF_REPLAYED, "a proof for the second time", proven(KEY_BOUND, PROOF, times=2)),
    Row(R.STATUS_REQUIRED, "no status where one is wanted", shown(policy=LISTED_ONLY)),
    Row(R.INVALID_STATUS, "a status that names no list", forged(status={})),
    Row(R.INVALID_STATUS, "a list that is not the issuer's", forged(status=status("https://x"))),
    Row(R.INVALID_STATUS, "a list that ends before the index", listed(4)),
    Row(R.INVALID_STATUS, "a status of an application", listed(3)),
    Row(R.UNCHECKED_STATUS, "no lists", verified_without_lists),
    Row(R.TOKEN_REVOKED, "revoked", listed(1)),
    Row(R.TOKEN_SUSPENDED, "suspended", listed(2)),
    Row(R.STATUS_UNAVAILABLE, "the list cannot be had", listed(0, None)),
    Row(R.INVALID_SCOPE_CLAIM, "scope is an array", forged(scope=["read"])),
    Row(R.INSUFFICIENT_SCOPE, "a scope is lacking", guarded(require("admin"))),
    Row(R.INSUFFICIENT_CLAIM, "a claim is lacking", guarded(require(claim("tenant", "a")))),
    Row(R.INVALID_DETAILS_CLAIM, "details that are no list", forged(authorization_details={})),
    Row(R.INSUFFICIENT_DETAILS, "details are lacking", guarded(require_details("payment"))),
    Row(R.NO_KEYS, "the key set cannot be had", shown(keys_fail=True)),
]
SHARED: Mapping[Reason, str] = {
    R.MALFORMED_TOKEN: "no token at all: which rule of its form it breaks makes no difference",
    R.INVALID_TIME: "the issuer writes times that mean nothing",
    R.NOT_YET_VALID: "the clocks differ, whichever claim shows it",
    R.INVALID_STATUS: "nothing tells the status; status_list.stale has more where a list is wrong",
}


@pytest.mark.parametrize("row", ROWS, ids=[row.cause for row in ROWS])
async def test_a_refused_request_has_its_reason(row: Row) -> None:
    """The log says which check it was, whatever the answer says."""
    assert await row.ask() == row.reason


def test_every_reason_of_an_api_has_a_request_and_one_cause() -> None:
    """A new code needs a row; a second cause of a code needs a word why."""
    check_table(ROWS, Reason, SHARED, "tests/conformance/test_reasons_api.py")
