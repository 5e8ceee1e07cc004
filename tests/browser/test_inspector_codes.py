"""The inspector and `watchword token explain` say the same of every token, check by check."""

import json
import random
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from keys.encoding import encode_base64url
from keys.jwk import public_jwk
from keys.jwks import JwkSet, build_jwk_set, parse_jwk_set
from keys.key_types import ALGORITHMS
from keys.pasted_token import read_pasted_token
from resource_api.config import ResourcePolicy
from resource_api.explanation import explain
from resource_api.status_list import InvalidStatusList, parse_status_list
from tests.support.inspector import judge, paste_keys
from tests.support.keys import rsa_key
from watchword.provider.inspector import build_page
from watchword.settings import Settings
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, TokenForge, dump, segment
from watchword.testing.status_lists import list_token, pack, status, status_list

FORGE = TokenForge()
OTHER = TokenForge(rsa_key(1))
GOOD = FORGE.token()
HEADER, PAYLOAD, SIGNATURE = FORGE.parts()
POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, algorithms=tuple(ALGORITHMS))
LIST = f"{ISSUER}/status-lists/1"
STATUSES = pack((0, 1, 2, 3), 2)
DIGEST = encode_base64url(bytes(32))
SIGNED = {alg: TokenForge(alg=alg) for alg in ALGORITHMS if not alg.startswith(("RS", "ML"))}
VERIFIED = {"RS384": TokenForge(alg="RS384"), "RS512": TokenForge(alg="RS512"), **SIGNED}


def header(**changes: object) -> bytes:
    """Sign a token with these members of the header changed."""
    return FORGE.token(header=changes)


def written(payload: str, head: str | None = None) -> bytes:
    """Sign these very texts."""
    return FORGE.raw(dump(FORGE.good_header) if head is None else head.encode(), payload.encode())


def with_claims(text: str) -> bytes:
    """Sign the good claims with these members written behind them."""
    return written(f"{dump(FORGE.good_claims).decode()[:-1]},{text}}}")


def unsigned(**changes: object) -> bytes:
    """Write a token without a signature (RFC 7515 A.5)."""
    head = {**FORGE.good_header, "alg": "none", **changes}
    return segment(dump(head)) + b"." + PAYLOAD + b"."


def spelled_otherwise(part: bytes) -> bytes:
    """Set a bit that base64url does not use: the same octets, written another way."""
    return part[:-1] + bytes([part[-1] + 1])


SHAPES = {
    "good": GOOD,
    "nothing": b".",
    "dots": b"..",
    "four parts": GOOD + b".e30",
    "five parts": b"a.b.c.d.e",
    "json": b'{"payload":"e30"}',
    "cut off": GOOD[:-9],
    "no signature": HEADER + b"." + PAYLOAD + b".",
    "padding": HEADER + b"=." + PAYLOAD + b"." + SIGNATURE,
    "base64": GOOD.replace(b"-", b"+").replace(b"_", b"/") + b"+/",
    "unused bits": HEADER + b"." + PAYLOAD + b"." + spelled_otherwise(SIGNATURE),
    "impossible length": HEADER + b"." + PAYLOAD + b".AAAAA",
    "words": b"not a token at all",
    "other letters": "é.ü.ß".encode(),
    "space within": HEADER + b". " + PAYLOAD + b"." + SIGNATURE,
    "unsigned": unsigned(),
    "unsigned in other case": unsigned(alg="NoNe"),
    "hmac": header(alg="HS256"),
    "changed claims": HEADER + b"." + segment(b'{"sub":"admin"}') + b"." + SIGNATURE,
    "forged": OTHER.token(header={"kid": FORGE.jwk.kid}),
    "other issuer's key": OTHER.token(),
    "long": FORGE.token(x="x" * 9000),
    "long and wrong": FORGE.token(x="x" * 9000, aud="x"),
    "array": written("[]"),
    "scalar": written("1"),
    "empty claims": written("{}"),
    "repeated claim": with_claims('"aud":"https://evil.example"'),
    "repeated claim, escaped": with_claims('"\\u0061ud":"https://evil.example"'),
    "repeated deep down": with_claims('"x":{"a":1,"a":1}'),
    "repeated member": written("{}", '{"alg":"RS256","alg":"none"}'),
    "prototype": with_claims('"__proto__":{"aud":"x"},"constructor":1'),
    "after the end": written(dump(FORGE.good_claims).decode() + "{}"),
    "byte order mark": written("\ufeff" + dump(FORGE.good_claims).decode()),
    "white space": written(f" \t\r\n{dump(FORGE.good_claims).decode()} \n"),
    "form feed": written(f"\f{dump(FORGE.good_claims).decode()}"),
    "no utf-8": FORGE.raw(dump(FORGE.good_header), b'{"x":"\xff"}'),
    "surrogate": with_claims('"x":"\\ud800"'),
    "pair": with_claims('"x":"\\ud83d\\ude00"'),
    "NUL": with_claims('"x":"\\u0000"'),
    "control": with_claims('"x":"\u0001"'),
    "NaN": with_claims('"x":NaN'),
    "Infinity": with_claims('"x":-Infinity'),
    "too large": with_claims('"x":1e400'),
    "large": with_claims(f'"x":{"9" * 4300}'),
    "too many digits": with_claims(f'"x":{"9" * 4301}'),
    "leading zero": with_claims('"x":01'),
    "half a number": with_claims('"x":1.'),
    "trailing comma": with_claims('"x":[1,]'),
    "bad escape": with_claims('"x":"\\q"'),
    "short escape": with_claims('"x":"\\u12"'),
    "deep": with_claims(f'"x":{"[" * 30}1{"]" * 30}'),
    "too deep": with_claims(f'"x":{"[" * 31}1{"]" * 31}'),
    "too deep, empty": with_claims(f'"x":{"[" * 32}{"]" * 32}'),
    "brackets in text": with_claims(f'"x":"{"[" * 200}"'),
}
HEADERS = {
    **{f"typ {typ!r}": header(typ=typ) for typ in (DROP, "JWT", "AT+JWT", "dpop+jwt", "", None, 7)},
    "typ in full": header(typ="application/at+jwt"),
    "typ of others": header(typ="text/at+jwt"),
    "crit": header(crit=["exp"]),
    "empty crit": header(crit=[]),
    "null crit": header(crit=None),
    "b64": header(b64=True),
    "alg in other case": header(alg="rs256"),
    "no alg": header(alg=DROP),
    "alg no text": header(alg=["RS256"]),
    "another alg of the key": header(alg="PS256"),
    "inherited alg": header(alg="constructor"),
    **{
        f"kid {kid!r:.9}": header(kid=kid) for kid in (DROP, "", "x", None, 5, "k" * 255, "k" * 256)
    },
    "kid of pairs": header(kid="😀" * 255),
    **{name: header(**{name: "x"}) for name in ("jwk", "jku", "x5u", "x5c", "x5t", "zip", "cty")},
    "several": header(typ="JWT", jku="x", kid=""),
}
CLAIMS: Mapping[str, Mapping[str, Any]] = {
    "iss": {"iss": ISSUER + "/"},
    "iss no text": {"iss": [ISSUER]},
    "no iss": {"iss": DROP},
    "aud": {"aud": "https://other.example"},
    "aud by prefix": {"aud": RESOURCE + "/x"},
    "aud list": {"aud": ["https://other.example", RESOURCE]},
    "aud mixed list": {"aud": [RESOURCE, 1]},
    "aud empty": {"aud": []},
    "aud missing": {"aud": DROP},
    "aud object": {"aud": {"x": RESOURCE}},
    "expired": {"iat": NOW - 90, "exp": NOW - 10},
    "expired within leeway": {"iat": NOW - 90, "exp": NOW - 9},
    "expired as float": {"iat": NOW - 90, "exp": NOW - 9.5},
    "issued ahead": {"iat": NOW + 61},
    "issued a little ahead": {"iat": NOW + 60},
    "begins": {"nbf": NOW + 11},
    "begins within leeway": {"nbf": NOW + 10},
    "nbf no number": {"nbf": "x"},
    "nbf null": {"nbf": None},
    "exp text": {"exp": str(NOW + 60)},
    "exp true": {"exp": True},
    "exp missing": {"exp": DROP},
    "iat missing": {"iat": DROP},
    "iat negative": {"iat": -1},
    "exp beyond": {"exp": 2**53},
    "backwards": {"iat": NOW + 50, "exp": NOW + 40},
    "long life": {"exp": NOW + 86_410},
    "too long a life": {"exp": NOW + 86_411},
    "sub missing": {"sub": DROP},
    "sub empty": {"sub": ""},
    "client_id no text": {"client_id": 1},
    "jti long": {"jti": "x" * 256},
    "jti of pairs": {"jti": "😀" * 255},
    "bound to a key": {"cnf": {"jkt": DIGEST}},
    "bound to both": {"cnf": {"jkt": DIGEST, "x5t#S256": DIGEST}},
    "bound to nothing": {"cnf": {}},
    "bound to more": {"cnf": {"jkt": DIGEST, "jwk": {}}},
    "bound to a short digest": {"cnf": {"jkt": "AAAA"}},
    "bound to no digest": {"cnf": {"jkt": "*"}},
    "cnf no object": {"cnf": "x"},
    "scope list": {"scope": ["read"]},
    "scope empty": {"scope": ""},
    "scope spaces": {"scope": "read  write"},
    "scope end": {"scope": "read "},
    "scope line": {"scope": "read\n"},
    "scope quote": {"scope": 'a"b'},
    "no scope": {"scope": DROP},
    "details": {"authorization_details": [{"type": "x"}]},
    "details object": {"authorization_details": {}},
    "details without type": {"authorization_details": [{"type": 1}]},
    "details null": {"authorization_details": None},
    **{f"status {n}": {"status": status(LIST, n)} for n in range(5)},
    "status far": {"status": status(LIST, 2**60)},
    "status negative": {"status": status(LIST, -1)},
    "status true": {"status": status(LIST, True)},
    "status float": {"status": status(LIST, 1.0)},
    "status elsewhere": {"status": status("https://evil.example/1")},
    "status at a similar host": {"status": status(ISSUER + ".evil.example/1")},
    "status up": {"status": status(ISSUER + "/x/../1")},
    "status up, encoded": {"status": status(ISSUER + "/x/%2E%2e/1")},
    "status with a backslash": {"status": status(ISSUER + "/x%5C1")},
    "status with a fragment": {"status": status(ISSUER + "/1#x")},
    "status with a bad escape": {"status": status(ISSUER + "/%zz")},
    "status null": {"status": None},
    "status empty": {"status": {}},
    "status and wrong aud": {"status": status(LIST, 1), "aud": "x"},
    "many mistakes": {"iss": "x", "aud": "x", "exp": "x", "sub": 1, "scope": 1, "cnf": 1},
}
TOKENS: Mapping[str, bytes] = {
    **SHAPES,
    **HEADERS,
    **{name: FORGE.token(**claims) for name, claims in CLAIMS.items()},
    **{f"{alg}": forge.token() for alg, forge in VERIFIED.items()},
    **{f"{alg} cut": forge.token()[:-4] for alg, forge in VERIFIED.items()},
    **{f"{alg} forged": forge.token()[:-12] + b"AAAAAAAAAAAA" for alg, forge in VERIFIED.items()},
}
BEFORE = (
    *("", " \n", "\ufeff", "Bearer ", "DPoP\t", "bearer\n", "\n Authorization: Bearer  "),
    *("authorization:dpop ", "Bearer", "Authorization: ", "Token ", "Bearer Bearer ", "Bearer:"),
)
KEYS = json.dumps(build_jwk_set([FORGE.jwk, *(each.jwk for each in VERIFIED.values())]))


@pytest.fixture
async def saved(page: Page, tmp_path: Path) -> Page:
    """Give the page that was saved as a file, at a time that stands still."""
    body, _ = build_page(Settings(issuer=ISSUER, api_resource=RESOURCE))
    (tmp_path / "inspector.html").write_bytes(body)
    await page.clock.set_fixed_time(NOW)
    await page.goto((tmp_path / "inspector.html").as_uri())
    return page


def told(token: bytes, keys: JwkSet | None, body: bytes | None) -> dict[str, Any]:
    """Give what `watchword token explain` says, in the words of the page."""
    explanation = explain(token, keys, POLICY, now=NOW)
    if explanation.status_list is not None and keys is not None and body is not None:
        with suppress(InvalidStatusList):  # which was pasted, so the token is not at fault
            found = parse_status_list(body, keys, uri=explanation.status_list, now=NOW)
            lists = {explanation.status_list: found}
            explanation = explain(token, keys, POLICY, now=NOW, status_lists=lists)
    verdict = "accepted" if explanation.accepted else "undecided"
    return {
        "verdict": "refused" if explanation.refused else verdict,
        "reason": explanation.reason or "",
        "checks": [
            [each.check, each.outcome.replace("reached", "tried"), each.reason or ""]
            for each in explanation.findings
        ],
    }


async def assert_alike(
    page: Page, tokens: Mapping[str, bytes], keys: str = KEYS, body: bytes | None = None
) -> set[str]:
    """Compare all tokens; give the reasons that there were."""
    await paste_keys(page, keys, issuer=ISSUER, resource=RESOURCE)
    await page.get_by_label("Status list").fill("" if body is None else body.decode())
    judged = await judge(page, *(each.decode("utf-8") for each in tokens.values()))
    parsed = parse_jwk_set(keys.encode()) if keys else None
    for (name, token), page_says in zip(tokens.items(), judged, strict=True):
        assert page_says == told(token, parsed, body), name
    return {each["reason"] for each in judged}


@pytest.mark.attack("T1", "T2", "T3")
async def test_every_token_gets_the_verdict_of_token_explain(saved: Page) -> None:
    """All reasons for which a token can be refused are among them."""
    body = list_token(FORGE, LIST, STATUSES)
    assert await assert_alike(saved, TOKENS, body=body) >= {
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
    assert len(await assert_alike(saved, tokens)) > 3


async def test_what_stands_around_a_token_is_taken_off_as_on_the_command_line(saved: Page) -> None:
    """Whatever a token is pasted with, the page judges what a command would."""
    await paste_keys(saved, KEYS, issuer=ISSUER, resource=RESOURCE)
    texts = [before + GOOD.decode() + after for before in BEFORE for after in ("", " \r\n", " x")]
    for text, says in zip(texts, await judge(saved, *texts), strict=True):
        assert says == told(read_pasted_token(text).encode(), parse_jwk_set(KEYS.encode()), None)


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
        await assert_alike(saved, tokens, body=body)
    await assert_alike(saved, tokens)  # none is pasted, and a file asks no server


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
        await assert_alike(saved, {"good": GOOD}, json.dumps({"keys": [*keys, kept]}))


async def test_without_a_key_set_nothing_is_verified(saved: Page) -> None:
    """The claims are judged all the same."""
    await assert_alike(saved, {"good": GOOD, "aud": FORGE.token(aud="x")}, "")


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
