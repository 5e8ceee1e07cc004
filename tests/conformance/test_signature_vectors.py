"""Good and forged signatures of every algorithm, in the form of Project Wycheproof's files.

`tests/signature_vectors` makes them without any code of the product.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from keys.encoding import encode_base64url
from keys.errors import InvalidJwk, InvalidJwkSet
from keys.jwk import PublicJwk, parse_public_jwk
from keys.jwks import JwkSet, parse_jwk_set
from keys.key_types import ALGORITHMS, verifier
from resource_api import AccessToken, InvalidToken, ResourcePolicy, verify
from tests.signature_vectors import mac
from tests.signature_vectors.__main__ import RANDOMISED, SUITES, path_of, written
from tests.signature_vectors.suite import ISSUER, NOW, RESOURCE
from tests.support.assertions import GENERATED, SEAL, form_of, secret_asserting_client, secret_jwt
from tests.support.issuer import ISSUER as SERVED_ISSUER
from tests.support.issuer import NOW as SERVED_NOW
from tests.support.issuer import Clients, TestIssuer
from watchword.testing import forge

POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, algorithms=tuple(ALGORITHMS))
Json = dict[str, Any]


def groups_of(name: str) -> list[Json]:
    """Read the groups of a file, after a look at its form."""
    suite = json.loads(path_of(name).read_text())
    groups: list[Json] = suite["testGroups"]
    tests = [test for group in groups for test in group["tests"]]
    assert [test["tcId"] for test in tests] == list(range(1, suite["numberOfTests"] + 1))
    assert {flag for test in tests for flag in test["flags"]} == suite["notes"].keys()
    assert {test["result"] for test in tests} <= {"valid", "invalid", "acceptable"}
    return groups


def key_of(group: Json) -> PublicJwk | None:
    """Read the key of a group; None if it is refused."""
    try:
        return parse_public_jwk(group["publicKeyJwk"])
    except InvalidJwk:
        return None


def holds(key: PublicJwk, message: bytes, signature: bytes) -> bool:
    """Verify by the arithmetic alone, whose exceptions mean no."""
    try:
        return verifier(key.alg).verify(message, key.key, signature)
    except ValueError:
        return False


def is_accepted(token: bytes, keys: JwkSet) -> bool:
    """Validate a token whole; whatever is wrong with it, the answer is one of two."""
    try:
        return isinstance(verify(token, keys, POLICY, now=NOW), AccessToken)
    except InvalidToken:
        return False


def wrong(found: Iterator[tuple[Json, bool]]) -> list[str]:
    """List the tests with another result than theirs."""
    return [
        f"{test['tcId']} {test['comment']}: must be {test['result']}"
        for test, accepted in found
        if test["result"] not in ("acceptable", "valid" if accepted else "invalid")
    ]


@pytest.mark.attack("V11")
@pytest.mark.rfc("7515-5.2-1", "7518-3-1", "8037-2-1", "9964-1")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_signature_counts_if_it_is_one(alg: str) -> None:
    """Alone, and as the signature of a token that has nothing else wrong: the same result."""

    def judge() -> Iterator[tuple[Json, bool]]:
        for group in groups_of(alg):
            key = key_of(group)
            for test in group["tests"]:
                message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
                token = message + b"." + encode_base64url(signature).encode()
                accepted = key is not None and holds(key, message, signature)
                whole = key is not None and is_accepted(token, JwkSet(keys=(key,)))
                # A changed message is no token any more, and so never accepted.
                assert whole == accepted, test["comment"]
                yield test, accepted

    assert wrong(judge()) == []


@pytest.mark.attack("V8", "V11")
@pytest.mark.rfc("8037-2-1")
def test_keys_that_anybody_can_sign_with_are_the_only_ones_refused() -> None:
    """Of all the groups, those whose key is a point of small order."""
    for alg in ALGORITHMS:
        for group in groups_of(alg):
            weak = {flag for test in group["tests"] for flag in test["flags"]} == {"SmallOrder"}
            assert (key_of(group) is None) == weak


@pytest.mark.attack("V1", "V2", "V3", "V5", "V8", "V9", "V10", "V12", "V13", "V14", "V15")
@pytest.mark.rfc("7515-5.2-1", "8725-3.1-1")
def test_a_jws_is_verified_by_the_key_set_alone() -> None:
    """Shapes, headers, claims, confused algorithms and key sets."""

    def judge() -> Iterator[tuple[Json, bool]]:
        for group in groups_of("JWS"):
            try:
                keys = parse_jwk_set(json.dumps(group["public"]).encode())
            except InvalidJwkSet:
                keys = JwkSet(keys=())
            for test in group["tests"]:
                yield test, is_accepted(test["jws"].encode("latin-1"), keys)

    assert wrong(judge()) == []


@pytest.mark.attack("T15")
@pytest.mark.rfc("7523-3-4", "7518-3-1")
async def test_a_tag_counts_if_it_is_one() -> None:
    """HS256, by which clients authenticate: each tag at the token endpoint."""
    results = []
    for group in groups_of("HS256"):
        assert bytes.fromhex(group["key"]) == GENERATED.encode()
        for test in group["tests"]:
            issuer = TestIssuer(
                clients=Clients(secret_asserting_client()), verifiers=(secret_jwt(SEAL),)
            )
            message, tag = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            assertion = f"{message.decode()}.{encode_base64url(tag)}"
            answer = await issuer.ask(form_of(assertion), authenticated=False)
            assert answer.status in (200, 401)
            results.append((test, answer.status == 200))
    assert wrong(iter(results)) == []


def test_the_messages_are_those_of_the_good_token_and_assertion() -> None:
    """Else all of them would be refused for that."""
    assert (forge.ISSUER, forge.RESOURCE, forge.NOW) == (ISSUER, RESOURCE, NOW)
    assert (SERVED_ISSUER, SERVED_NOW) == (mac.ISSUER, NOW)
    assert mac.SECRET == GENERATED


@pytest.mark.parametrize("name", [*SUITES, *RANDOMISED])
def test_every_algorithm_has_good_and_forged_signatures(name: str) -> None:
    """In numbers that tell if a suite came out empty."""
    results = [test["result"] for group in groups_of(name) for test in group["tests"]]
    assert results.count("valid") >= 1
    assert results.count("invalid") >= 30


def test_the_files_are_what_is_written_anew() -> None:
    """But for ML-DSA, whose signatures are randomised, and RSA, whose keys take long to make."""
    for name in ("ES256", "Ed25519", "HS256"):
        assert path_of(name).read_text() == written(SUITES[name]())
