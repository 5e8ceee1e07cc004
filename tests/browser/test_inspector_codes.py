"""The inspector and `watchword token explain` say the same of every token, check by check."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.async_api import Page

from keys.encoding import encode_base64url
from keys.jwk import public_jwk
from keys.jwks import parse_jwk_set
from keys.pasted_token import read_pasted_token
from tests.support.inspected_tokens import (
    DIGEST,
    FORGE,
    GOOD,
    KEYS,
    LIST,
    OTHER,
    STATUSES,
    TOKENS,
    VERIFIED,
    written,
)
from tests.support.inspector import assert_alike, judge, open_saved, paste_keys, told
from watchword.settings import Settings
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, TokenForge, dump
from watchword.testing.status_lists import list_token, status, status_list
from watchword.token_policy import make_token_policy

SETTINGS = Settings(issuer=ISSUER, api_resource=RESOURCE)
POLICY = make_token_policy(SETTINGS)
BEFORE = (
    *("", " \n", "\ufeff", "Bearer ", "DPoP\t", "bearer\n", "\n Authorization: Bearer  "),
    *("authorization:dpop ", "Bearer", "Authorization: ", "Token ", "Bearer Bearer ", "Bearer:"),
)


@pytest.fixture
async def saved(page: Page, tmp_path: Path) -> Page:
    """Give the page that was saved as a file, at a time that stands still."""
    return await open_saved(page, tmp_path, SETTINGS)


@pytest.mark.attack("T1", "T2", "T3")
async def test_every_token_gets_the_verdict_of_token_explain(saved: Page) -> None:
    """All reasons for which a token can be refused are among them."""
    body = list_token(FORGE, LIST, STATUSES)
    reasons = await assert_alike(saved, TOKENS, POLICY, body=body)
    assert set(reasons.values()) >= {
        "", "token_too_long", "malformed_token", "wrong_type", "wrong_algorithm", "invalid_kid",
        "forbidden_header", "unknown_key", "bad_signature", "wrong_issuer", "wrong_audience",
        "invalid_time", "expired", "not_yet_valid", "lifetime_too_long", "invalid_identity",
        "invalid_confirmation_claim", "invalid_status", "token_revoked", "token_suspended",
        "invalid_scope_claim", "invalid_authorization_details_claim",
    }  # fmt: skip


async def test_changed_texts_get_the_verdict_of_token_explain(saved: Page) -> None:
    """Header and claims with a few characters replaced: both parsers take or refuse the same."""
    chance = random.Random(20)
    tokens = {}
    for number in range(400):
        texts = [dump(FORGE.good_header).decode(), dump(FORGE.good_claims).decode()]
        which = chance.randrange(2)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(texts[which]) + 1)
            new = chance.choice(
                ['"', "\\", "{", "}", "[", "]", ",", ":", "0", "-", "e", "\\u0000", "é", ""]
            )
            texts[which] = texts[which][:at] + new + texts[which][at + chance.randrange(3) :]
        tokens[f"{number}: {texts}"] = written(texts[1], texts[0])
    assert len(set((await assert_alike(saved, tokens, POLICY)).values())) > 3


async def test_what_stands_around_a_token_is_taken_off_as_on_the_command_line(saved: Page) -> None:
    """Whatever a token is pasted with, the page judges what a command would."""
    await paste_keys(saved, KEYS, issuer=ISSUER, resource=RESOURCE)
    texts = [before + GOOD.decode() + after for before in BEFORE for after in ("", " \r\n", " x")]
    for text, says in zip(texts, await judge(saved, *texts), strict=True):
        token = read_pasted_token(text).encode()
        assert says == told(token, parse_jwk_set(KEYS.encode()), None, POLICY)


LISTS: Mapping[str, bytes] = {
    "of another key": list_token(OTHER, LIST, STATUSES),
    "forged": list_token(OTHER, LIST, STATUSES, header={"kid": FORGE.jwk.kid}),
    "of another type": list_token(FORGE, LIST, STATUSES, header={"typ": "at+jwt"}),
    "for another URI": list_token(FORGE, LIST + "0", STATUSES),
    "expired": list_token(FORGE, LIST, STATUSES, exp=NOW),
    "without an end": list_token(FORGE, LIST, STATUSES, exp=DROP),
    "from the future": list_token(FORGE, LIST, STATUSES, iat=NOW + 61),
    "without a time": list_token(FORGE, LIST, STATUSES, iat=DROP),
    "with odd bits": list_token(FORGE, LIST, status_list=status_list(STATUSES, 3)),
    "not compressed": list_token(FORGE, LIST, status_list={"bits": 2, "lst": "AAAA"}),
    "with a tail": list_token(
        FORGE, LIST, status_list={"bits": 2, "lst": status_list(STATUSES)["lst"] + "AAAA"}
    ),
    "that unfolds": list_token(FORGE, LIST, bytes(4 * 2**20 + 1)),
    "of 1 bit": list_token(FORGE, LIST, bytes([0b10]), bits=1),
    "of 8 bits": list_token(FORGE, LIST, bytes([0, 1, 2, 3]), bits=8),
    "of words": b"no list",
}


async def test_every_status_list_gets_the_verdict_of_token_explain(saved: Page) -> None:
    """Token Status List §8.3: the list is verified before it counts."""
    tokens = {str(idx): FORGE.token(status=status(LIST, idx)) for idx in range(3)}
    for body in LISTS.values():
        await assert_alike(saved, tokens, POLICY, body=body)
    await assert_alike(saved, tokens, POLICY)  # none is pasted, and a file asks no server


def changed_key(**changes: object) -> dict[str, object]:
    """Give the signing key's JWK with these members changed."""
    members = {**FORGE.jwk.members(), **changes}
    return {name: value for name, value in members.items() if value is not DROP}


KEY_SETS: Mapping[str, list[object]] = {
    "private": [changed_key(d="AQAB")],
    "for encryption": [changed_key(use="enc")],
    "null use": [changed_key(use=None)],
    "for other operations": [changed_key(key_ops=["sign"])],
    "for verifying": [changed_key(key_ops=["verify"], use=DROP)],
    "without kid": [changed_key(kid=DROP)],
    "without alg": [changed_key(alg=DROP)],
    "of another alg": [changed_key(alg="PS256")],
    "of an unknown alg": [changed_key(alg="RS1")],
    "without n": [changed_key(n=DROP)],
    "with a leading zero": [changed_key(n=encode_base64url(b"\0" + bytes([255] * 257)))],
    "small": [changed_key(n=encode_base64url(bytes([255] * 128)))],
    "with a small factor": [changed_key(n=encode_base64url((3 * (2**2050 + 1)).to_bytes(257)))],
    "with close factors": [changed_key(n=encode_base64url(((2**1100 + 1) ** 2).to_bytes(276)))],
    "with an even exponent": [changed_key(e="Ag")],
    "twice": [changed_key(), changed_key()],
    "two of one name": [changed_key(), OTHER.jwk.members() | {"kid": FORGE.jwk.kid}],
    "no objects": [1, None, "x", []],
    "of an RFC": [
        {
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": FORGE.jwk.kid,
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        }
    ],
    "of a small order": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": encode_base64url(bytes(32))}
    ],
    "off the curve": [
        {"kty": "EC", "crv": "P-256", "kid": "x", "x": DIGEST, "y": DIGEST, "alg": "ES256"}
    ],
}  # fmt: skip


async def test_keys_of_a_set_count_as_for_token_explain(saved: Page) -> None:
    """Those that cannot serve are left out; a further one keeps the set usable."""
    kept = public_jwk(VERIFIED["ES256"].private_key, "ES256").members()
    for keys in KEY_SETS.values():
        await assert_alike(saved, {"good": GOOD}, POLICY, json.dumps({"keys": [*keys, kept]}))


async def test_without_a_key_set_nothing_is_verified(saved: Page) -> None:
    """The claims are judged all the same."""
    await assert_alike(saved, {"good": GOOD, "aud": FORGE.token(aud="x")}, POLICY, "")


@pytest.mark.parametrize("alg", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"])
async def test_what_the_browser_cannot_verify_is_not_decided(saved: Page, alg: str) -> None:
    """The page says so, and neither accepts nor refuses; a browser that can gives a verdict."""
    forge = TokenForge(alg=alg)
    await paste_keys(saved, forge.jwks_document.decode(), issuer=ISSUER, resource=RESOURCE)
    [judged] = await judge(saved, forge.token().decode())
    signature = {check: outcome for check, outcome, _ in judged["checks"]}["signature"]
    assert (judged["verdict"], signature) in (("undecided", "not tried"), ("accepted", "passed"))
    if judged["verdict"] == "undecided":
        said = await saved.get_by_role("status").inner_text()
        assert f"this browser cannot verify {alg}" in said
