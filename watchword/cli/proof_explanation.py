"""What the issuer makes of a client's own assertion, and what a DPoP proof is about."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from watchword.ambient import wall_clock
from watchword.cli.output import say
from watchword.cli.printing import Output, rfc3339
from watchword.cli.tables import Column

if TYPE_CHECKING:
    from issuer.client_auth.assertion import ClaimedAssertion, Expected
    from issuer.errors import OAuthError
    from issuer.profile import SecurityProfile
    from issuer.registry.client import Client
    from issuer.registry.schema import Json
    from issuer.storage.registry import Registry
    from keys.dpop import ProofFault
    from watchword.settings import Settings

_COLUMNS = (
    Column("check"),
    Column("outcome"),
    Column("found", "words"),
    Column("expected", "words"),
)
_END_OF_DATES = 10**11  # twelve digits reach the year 33658
_CLAIMS = "header and claims"
_JUDGED: Mapping[str, frozenset[str]] = {
    "client": frozenset({"unknown_client"}),
    "method": frozenset({"wrong_method", "unsupported_method"}),
    _CLAIMS: frozenset(),
    "key": frozenset({"assertion_key", "assertion_keys_unavailable", "assertion_secret"}),
    "signature": frozenset({"assertion_signature", "secret_expired"}),
    "state": frozenset({"client_disabled", "client_expired"}),
}
"""The parts of the issuer's judgement in order, and the reasons for which each refuses."""


def explain_proof(token: str, settings: "Settings", output: Output) -> None:
    """Say what a DPoP proof proves, and exit 1, since it is no token; return if it is none."""
    from issuer.profile import PROFILES
    from keys.dpop import DPOP_TYPE, PROOF_DIAGNOSES
    from keys.errors import InvalidJwt
    from keys.jwt import read_jwt
    from resource_api.check_descriptions import show_duration

    try:
        jwt = read_jwt(token)
    except InvalidJwt:
        return
    if jwt.type != DPOP_TYPE:
        return
    now = wall_clock()
    allowed = PROFILES[settings.profile].proof_algorithms
    fault = _find_fault(token, jwt.claims, now, allowed)
    shown = _describe_proof(jwt.header, jwt.claims)
    if output.is_document:
        output.document({"accepted": False, "kind": DPOP_TYPE, "reason": fault, **shown})
    else:
        made = shown["iat"]
        if isinstance(made, int) and 0 <= made < _END_OF_DATES:
            age = f"{show_duration(abs(now - made))} {'ago' if made <= now else 'ahead'}"
            shown["iat"] = f"{made}  {rfc3339(made)}  {age}"
        output.fields({name: value for name, value in shown.items() if value is not None})
        say(
            "This is a DPoP proof and no token: it goes into the header DPoP of one request, and"
            " shows that the sender has the key that cnf.jkt of the token names."
        )
        if fault is None:
            say("Its signature, key and time are right.")
        else:
            say(f"Refused: {fault}. {PROOF_DIAGNOSES[fault].cause} {PROOF_DIAGNOSES[fault].remedy}")
    raise typer.Exit(1)


def _find_fault(
    token: str, claims: "Json", now: int, algorithms: Collection[str]
) -> "ProofFault | None":
    """Return what is wrong with a proof for the request that it says it is for."""
    from keys.dpop import InvalidProof, check_proof

    method, url = str(claims.get("htm")), str(claims.get("htu"))
    try:
        check_proof([token.encode()], method=method, url=url, now=now, algorithms=algorithms)
    except InvalidProof as error:
        return error.fault
    return None


def _describe_proof(header: "Mapping[str, Any]", claims: "Json") -> "Json":
    """Return what a proof says, and the thumbprint of its key; None for what it lacks."""
    from keys.errors import InvalidJwk
    from keys.jwk import thumbprint

    key, jwk = None, header.get("jwk")
    if isinstance(jwk, dict):
        with suppress(InvalidJwk):
            key = thumbprint(jwk)
    said: Json = {name: claims.get(name) for name in ("htm", "htu", "iat", "jti")}
    further = {name: claims[name] for name in ("nonce", "ath") if name in claims}
    return said | {"jkt": key} | further


class _Judged(NamedTuple):
    """An assertion, the client that it is for, and why the issuer refuses it, if it does.

    Args:
        algorithms: those that the client may sign with.
        expected: what the issuer compares the claims with.
        profile: the issuer's security profile, by name; empty for none.
    """

    claimed: "ClaimedAssertion"
    client: "Client | None"
    refusal: "OAuthError | None"
    algorithms: "Collection[str]"
    expected: "Expected"
    profile: str


def explain_assertion(token: str, settings: "Settings", output: Output) -> None:
    """Say check by check why the issuer accepts a client's own assertion or refuses it.

    Exits 0 if it would be accepted, else 1. Its `jti` is not claimed, so that the client may still
    use it. Returns without a word if the token is no such assertion.
    """
    from issuer.client_auth.assertion import Expected
    from issuer.profile import PROFILES
    from issuer.registry.errors import RegistryError
    from watchword.registry import read_registry

    claimed = _own_assertion(token)
    if claimed is None:
        return
    try:
        with closing(read_registry(settings, now=wall_clock)) as registry:
            client = registry.find_client(claimed.client_id)
            if client is None and "typ" not in claimed.jwt.header:
                return  # nothing says that it is meant for this issuer
            refusal = asyncio.run(judge_assertion(claimed, registry, settings))
    except RegistryError as error:
        say(f"The clients of {settings.issuer} were not looked at: {error}")
        return
    profile = PROFILES[settings.profile]
    expected = Expected(settings.issuer, wall_clock(), profile.plain_audience)
    allowed = _algorithms(claimed, client, profile)
    judged = _Judged(claimed, client, refusal, allowed, expected, profile.name)
    checks = list(_checks(judged))
    if output.is_document:
        verdict = {"accepted": refusal is None, "client_id": claimed.client_id}
        reason = None if refusal is None else refusal.reason
        output.document({**verdict, "reason": reason, "issuer": settings.issuer, "checks": checks})
    else:
        output.table(_COLUMNS, checks)
        if refusal is None:
            say(f"Accepted as the client {claimed.client_id}, unless it was used before.")
        else:
            say_refusal(claimed.client_id, refusal)
    raise typer.Exit(0 if refusal is None else 1)


def say_refusal(client_id: str, refusal: "OAuthError", detail: str = "") -> None:
    """Say why what is for a client is refused, and what mends it."""
    from issuer.reasons import DIAGNOSES

    diagnosis = DIAGNOSES[refusal.reason]
    say(
        f"Refused as the client {client_id}: {refusal.reason}{detail}."
        f" {diagnosis.cause} {diagnosis.remedy}"
    )


async def judge_assertion(
    claimed: "ClaimedAssertion", registry: "Registry", settings: "Settings"
) -> "OAuthError | None":
    """Have an assertion judged as the token endpoint does; return its refusal, None if it has none.

    Nothing is claimed and nothing is written.
    """
    from issuer.client_request import Evidence
    from issuer.errors import OAuthError
    from issuer.limits import Limits
    from keys.replay import RecentProofs
    from watchword.provider.authentication import Authentication

    def tell(_: str, /, **fields: object) -> None:
        if reason := fields.get("reason"):
            source = fields.get("issuer") or fields.get("jwks_uri")
            say(f"watchword: {source} does not answer: {reason}")

    if settings.client_secret_jwt:
        from watchword.client_seal import open_seal

        registry.seal = open_seal(settings, registry, reading=True)
    authentication = Authentication(
        settings.model_copy(update={"dpop_nonce": "off"}),  # whose key may have to be made
        registry,
        _Clients(registry),
        RecentProofs(1, clock=wall_clock),
        limits=Limits(),
        events=tell,
    )
    try:
        evidence = Evidence(client_id=claimed.client_id, assertion=claimed)
        await authentication.authenticator.authenticate(evidence, now=wall_clock())
    except OAuthError as refusal:
        return refusal
    finally:
        authentication.close()
    return None


class _Clients:
    """The clients of a registry, of which nothing is remembered."""

    has_slow_secrets = False

    def __init__(self, registry: "Registry") -> None:
        self._registry = registry

    def get_cached(self, client_id: str) -> "Client | None":
        return None

    async def fetch(self, client_id: str) -> "Client | None":
        return self._registry.find_client(client_id)


def _own_assertion(token: str) -> "ClaimedAssertion | None":
    """Return what a client's own assertion claims; None if the token is something else."""
    from issuer.client_auth.assertion import JWT_ASSERTION, BadAssertion, claim_assertion
    from keys.jwt import ACCESS_TOKEN_TYPE

    try:
        claimed = claim_assertion(JWT_ASSERTION, token, None)
    except BadAssertion:
        return None
    kind = claimed.jwt.type
    if kind == ACCESS_TOKEN_TYPE:
        return None
    return claimed if claimed.is_own or kind == "client-authentication+jwt" else None


def _checks(judged: _Judged) -> "Iterator[dict[str, str]]":
    """Yield each check with its outcome, in the order of the issuer.

    Those of header and claims are told each for itself. The others are as the issuer judged them.
    """
    from issuer.client_auth.assertion import CLAIM_CHECKS, BadAssertion, assertion_profile
    from keys.errors import InvalidJwt
    from keys.jwt import HEADER_CHECKS

    header, claims = judged.claimed.jwt.header, judged.claimed.jwt.claims
    kind = assertion_profile(judged.algorithms)
    checks = [(name, partial(check, header, kind)) for name, check in HEADER_CHECKS]
    checks += [(name, partial(check, claims, judged.expected)) for name, check in CLAIM_CHECKS]
    words = _words(judged)
    reason = None if judged.refusal is None else judged.refusal.reason
    ends = next((check for check, reasons in _JUDGED.items() if reason in reasons), _CLAIMS)
    order = list(_JUDGED)
    for name in order:
        if name == _CLAIMS:
            for each, check in checks:
                try:
                    check()
                except (InvalidJwt, BadAssertion):
                    yield _row(each, "failed", words)
                else:
                    yield _row(each, "passed", words)
        elif reason is None or order.index(name) < order.index(ends):
            yield _row(name, "passed", words)
        else:
            yield _row(name, "failed" if name == ends else "not reached", words)


def _row(name: str, outcome: str, words: "Mapping[str, tuple[str, str]]") -> dict[str, str]:
    found, expected = words[name]
    return {"check": name, "outcome": outcome, "found": found, "expected": expected}


def _algorithms(
    claimed: "ClaimedAssertion", client: "Client | None", profile: "SecurityProfile"
) -> "Collection[str]":
    """Return the algorithms that a client may sign with."""
    from issuer.registry.auth_methods import HMAC_ALGORITHM

    if claimed.is_symmetric:
        return (HMAC_ALGORITHM,)
    bound = None if client is None else client.registration.token_endpoint_auth_signing_alg
    return [each for each in profile.assertion_algorithms if bound in (None, each)]


def _words(judged: _Judged) -> dict[str, tuple[str, str]]:
    """Say of each check what the assertion has, and what would pass."""
    from issuer.client_auth.assertion import MAXIMUM_JTI_LENGTH, MAXIMUM_LIFE
    from issuer.client_auth.methods import find_method
    from issuer.client_request import Evidence
    from keys.jwt import FORBIDDEN_HEADERS
    from resource_api.check_descriptions import show_members

    claimed, client, issuer = judged.claimed, judged.client, judged.expected.issuer
    header, claims, name = claimed.jwt.header, claimed.jwt.claims, claimed.client_id
    method = find_method(Evidence(assertion=claimed)) or "none that is supported"
    registered, keys, state = "that of the client", "a key of the client", "no such client"
    if client is not None:
        registered = client.registration.token_endpoint_auth_method
        keys, state = _describe_keys(client), _describe_state(client)
    by = f" with WATCHWORD_PROFILE={judged.profile}" if judged.profile else ""
    plain = ", and no list" if judged.expected.plain_audience else ""
    odd = sorted(FORBIDDEN_HEADERS & header.keys())
    return {
        "client": (name, f"a client of {issuer}"),
        "method": (method, f"{registered}, and switched on{by}"),
        "type": (show_members(header, ("typ",)), "client-authentication+jwt, JWT or none"),
        "algorithm": (show_members(header, ("alg",)), ", ".join(judged.algorithms) or "none"),
        "header members": (", ".join(odd) or "no such member", "no keys and no extension"),
        "kid": (show_members(header, ("kid",)), "a string, or none"),
        "times": (
            show_members(claims, ("iat", "nbf", "exp")),
            f"iat and exp, at most {MAXIMUM_LIFE} s apart, around now",
        ),
        "identity": (
            show_members(claims, ("iss", "sub", "jti")),
            f"iss and sub the client, jti of at most {MAXIMUM_JTI_LENGTH} characters",
        ),
        "audience": (show_members(claims, ("aud",)), f"{issuer} alone{plain}"),
        "key": (show_members(header, ("kid", "alg")), keys),
        "signature": ("", "made with that key"),
        "state": (state, "active"),
    }


def _describe_keys(client: "Client") -> str:
    """Say which keys a client is registered with."""
    registration = client.registration
    if registration.jwks_uri is not None:
        return f"a key at {registration.jwks_uri}"
    if registration.jwks is None:
        return "a live secret of the client"
    known = (
        f"{key.get('kid')} ({key.get('alg') or key.get('kty')})"
        for key in registration.jwks["keys"]
    )
    return "one of: " + ", ".join(known)


def _describe_state(client: "Client") -> str:
    now = wall_clock()
    if client.is_active(now):
        return "active"
    return "expired" if client.is_expired(now) else "disabled"
