"""Every way in which the issuer refuses a request has a reason of its own, the one in its log."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from issuer.access_token import ClaimHook
from issuer.errors import Reason
from issuer.profile import FAPI2
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.status.positions import Status
from tests.support.assertions import make_assertion, make_hmac_assertion, secret_jwt
from tests.support.exchange import (
    ACCESS_TOKEN,
    FORGE,
)
from tests.support.issuer import (
    API,
    ISSUER,
    NOW,
    OTHER_API,
    SECRET,
    basic,
    make_secret,
)
from tests.support.reasons import Row, check_table
from tests.support.refused_proofs import REFUSED_PROOFS
from tests.support.refused_requests import (
    ASSERTING,
    BOTH,
    FORM_LINE,
    GOOD,
    GRANT,
    LISTED,
    NAMED,
    OWN_KID,
    AwaySigner,
    UnreadableSet,
    about,
    asked,
    asserted,
    auth,
    details,
    exchanged,
    fail,
    granted,
    register_while_busy,
    registered,
    seen,
    sent,
    shown,
    signed,
    signed_workload,
    used_up,
    without_places,
    without_store,
)
from tests.support.registration import JSON, bearer
from watchword.testing.forge import DROP

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
    Row(R.WRONG_METHOD, "a secret", sent(client=ASSERTING)),
    Row(R.ASSERTION_MALFORMED, "no JWT", asserted("a.b.c")),
    Row(R.ASSERTION_TYPE, "an access token", asserted(make_assertion(header={"typ": "at+jwt"}))),
    Row(R.ASSERTION_ALGORITHM, "RS512", asserted(make_assertion("RS512"))),
    Row(R.ASSERTION_IDENTITY, "an assertion without jti", asserted(make_assertion(jti=DROP))),
    Row(R.ASSERTION_AUDIENCE, "the endpoint", asserted(make_assertion(aud=f"{ISSUER}/token"))),
    Row(R.ASSERTION_EXPIRED, "an old one", asserted(make_assertion(iat=NOW - 99, exp=NOW - 60))),
    Row(R.ASSERTION_TIMES, "a year", asserted(make_assertion(exp=NOW + 31_536_000))),
    Row(R.ASSERTION_KEY, "another key", asserted(make_assertion(n=1))),
    Row(
        R.ASSERTION_KEYS_UNAVAILABLE,
        "a key set that cannot be read",
        asserted(
            make_assertion(),
            client={**ASSERTING, "jwks": None, "jwks_uri": "https://keys.example/jwks"},
            change=lambda issuer: setattr(issuer, "published_sets", UnreadableSet),
        ),
    ),
    Row(R.ASSERTION_SIGNATURE, "a key of another", asserted(make_assertion(n=1, header=OWN_KID))),
    Row(
        R.ASSERTION_SECRET,
        "a secret from before the client signed with it",
        asserted(
            make_hmac_assertion(SECRET.encode()),
            client={"token_endpoint_auth_method": "client_secret_jwt"},
            change=lambda issuer: setattr(issuer, "verifiers", (secret_jwt(),)),
        ),
    ),
    Row(R.ASSERTION_REPLAYED, "once more", asserted(make_assertion(jti="seen"), change=seen)),
    Row(R.ASSERTION_MISSING, "a grant without it", granted("")),
    Row(R.FEDERATED_MISMATCH, "another account", granted(signed_workload(sub="system:other"))),
    Row(R.FEDERATED_TOKEN, "an old token of a cluster", granted(signed_workload(exp=NOW - 3600))),
    Row(
        R.TRUSTED_ISSUER_UNAVAILABLE,
        "a cluster that does not answer",
        granted(signed_workload(), away=True),
    ),
    Row(R.CERTIFICATE_UNTRUSTED, "a certificate of no authority", shown("self-made")),
    Row(R.CERTIFICATE_EXPIRED, "an old certificate", shown("issued", ends_in=timedelta(hours=-1))),
    Row(
        R.CERTIFICATE_SUBJECT,
        "the certificate of another client",
        shown("issued", client={**NAMED, "tls_client_auth_subject_dn": "CN=other"}),
    ),
    Row(
        R.CERTIFICATE_KEY,
        "a certificate of another key",
        shown(
            "self-made",
            client={**ASSERTING, "token_endpoint_auth_method": "self_signed_tls_client_auth"},
        ),
    ),
    Row(
        R.CERTIFICATE_AUTHORITY,
        "the certificate of an authority",
        shown(
            "authority",
            client={**ASSERTING, "token_endpoint_auth_method": "self_signed_tls_client_auth"},
        ),
    ),
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
    *(
        Row(reason, cause, sent(GRANT, FORM_LINE, GOOD, *lines, change=change))
        for reason, cause, lines, change in REFUSED_PROOFS
    ),
    Row(
        R.CERTIFICATE_REQUIRED,
        "no client certificate",
        sent(client={"tls_client_certificate_bound_access_tokens": True}),
    ),
    Row(
        R.BINDING_REQUIRED,
        "nothing to bind to under a profile",
        asserted(make_assertion(), change=lambda issuer: setattr(issuer, "profile", FAPI2)),
    ),
    Row(
        R.AUTH_METHOD_NOT_TAKEN,
        "a method that the resource does not take",
        sent(client={"policies": {API: TokenPolicy(auth_methods=(AuthMethod.PRIVATE_KEY_JWT,))}}),
    ),
    Row(
        R.PROFILE_ALGORITHM,
        "RS256 under a profile",
        asserted(
            make_assertion(),
            client={**ASSERTING, "policies": {API: TokenPolicy(signing_alg="RS256")}},
            change=lambda issuer: setattr(issuer, "profile", FAPI2),
        ),
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
