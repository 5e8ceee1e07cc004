"""The attack table of a protected API: algorithms, keys, segments and signatures."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from keys.encoding import decode_base64url, encode_base64url
from tests.support.attack import (
    ATTACKER,
    FORGE,
    GOOD,
    HEADER,
    OTHER_KEY,
    PAYLOAD,
    SIGNATURE,
    assert_invalid_request,
    assert_invalid_token,
)
from tests.support.keys import rsa_key, weak_rsa_key
from tests.support.protected_api import ProtectedApi
from watchword.testing.forge import DROP, TokenForge, dump, segment


@pytest.fixture
def api() -> ProtectedApi:
    """Put a fresh middleware before a fresh application."""
    return ProtectedApi(FORGE)


def public_key_forms() -> list[bytes]:
    """Give every form of the public key that a confused verifier might take for a MAC key."""
    public = FORGE.jwk.key
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    members = FORGE.jwk.members()
    jwk = json.dumps(members).encode()
    modulus = decode_base64url(members["n"])
    return [pem, pem.strip(), pem.replace(b"\n", b"\r\n"), der, jwk, modulus, members["n"].encode()]


def mac_token(key: bytes, alg: str = "HS256") -> bytes:
    """Make a token that is authenticated with a symmetric key."""
    head = segment(dump({**FORGE.good_header, "alg": alg}))
    signing_input = head + b"." + PAYLOAD
    return signing_input + b"." + segment(hmac.digest(key, signing_input, hashlib.sha256))


@pytest.mark.attack("V1")
@pytest.mark.rfc("none-1")
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("signature", [b"", SIGNATURE, b"AA"])
async def test_none_is_no_algorithm(api: ProtectedApi, alg: str, signature: bytes) -> None:
    """An unsigned token is refused in every spelling of `none` and with any signature."""
    head = segment(dump({**FORGE.good_header, "alg": alg}))
    await assert_invalid_token(api, b".".join([head, PAYLOAD, signature]))


@pytest.mark.attack("V2")
@pytest.mark.rfc("7515-4.1.1-1")
@pytest.mark.parametrize(
    "alg", [DROP, None, ["RS256"], {}, 1, True, "", "rs256", "RS256 ", "RS512", "RSA1_5"]
)
async def test_alg_is_required_and_exact(api: ProtectedApi, alg: Any) -> None:
    """`alg` is one string of the allow-list, case-sensitive."""
    await assert_invalid_token(api, FORGE.token(header={"alg": alg}))


@pytest.mark.attack("V3")
@pytest.mark.rfc("8725-3.5-1")
@pytest.mark.parametrize("key", public_key_forms())
async def test_public_key_is_no_mac_key(api: ProtectedApi, key: bytes) -> None:
    """HS256 keyed with the published key is refused: there is no HMAC in the table."""
    await assert_invalid_token(api, mac_token(key))
    await assert_invalid_token(api, mac_token(key, alg="RS256"))


@pytest.mark.attack("V4")
@pytest.mark.rfc("8725-3.1-1")
@pytest.mark.parametrize("alg", ["PS256", "ES256", "EdDSA", "RS384"])
async def test_key_has_one_algorithm(api: ProtectedApi, alg: str) -> None:
    """A header that names another algorithm than the key's is refused."""
    await assert_invalid_token(api, FORGE.token(header={"alg": alg}))


@pytest.mark.attack("V5")
@pytest.mark.rfc("7515-4.1-1")
@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": ATTACKER},
        {"x5c": ["MIIB"]},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"x5t": "x"},
        {"x5t#S256": "x"},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"enc": "A128GCM"},
    ],
)
async def test_keys_in_the_token_are_refused(api: ProtectedApi, extra: dict[str, Any]) -> None:
    """A header that brings or names its own key is refused, even when the signature is good."""
    await assert_invalid_token(api, FORGE.token(header=extra))
    assert api.issuer.asked == []
    await assert_invalid_token(api, OTHER_KEY.token(header={**extra, "kid": FORGE.jwk.kid}))


@pytest.mark.attack("V6")
@pytest.mark.rfc("roll-6", "8725-3.10-1")
@pytest.mark.parametrize(
    "kid",
    [
        DROP,
        None,
        "",
        7,
        True,
        [FORGE.jwk.kid],
        "../../dev/null",
        "' OR 1=1--",
        "a\x00b",
        "a\r\nset-cookie: x",
        "k" * 256,
        "k" * 5000,
        "k" * 100_000,
        FORGE.jwk.kid + " ",
    ],
)
async def test_kid_is_untrusted(api: ProtectedApi, kid: Any) -> None:
    """A kid is looked up in memory and otherwise goes nowhere, least of all into the log."""
    await assert_invalid_token(api, FORGE.token(header={"kid": kid}))
    assert all("kid" not in fields for name, fields in api.events if name == "request.refused")


@pytest.mark.attack("V7")
@pytest.mark.rfc("roll-5")
@pytest.mark.parametrize("down", [False, True])
async def test_unknown_kids_do_not_hammer_the_issuer(api: ProtectedApi, down: bool) -> None:
    """A thousand unknown kids cause at most one fetch per cool-down, failed ones counted."""
    assert await api.jwks.warm()
    if down:
        api.issuer.fails = ConnectionError()
    for number in range(1000):
        if number == 500:
            api.monotonic.advance(31)
        answer = await api.ask(FORGE.token(header={"kid": f"unknown-{number}"}))
        assert (answer.status, api.reason) == (401, "unknown_key")
    assert len(api.issuer.asked) == 2
    assert (await api.ask(GOOD)).status == 200


@pytest.mark.attack("V8")
@pytest.mark.rfc("7517-4-1", "7517-5-1")
@pytest.mark.parametrize(
    "bad",
    [
        {"kty": "oct", "kid": "bad", "k": "c2VjcmV0", "alg": "HS256"},
        {**ATTACKER, "kid": "bad", "use": "enc"},
        {**ATTACKER, "kid": "bad", "key_ops": ["encrypt"]},
        {**ATTACKER, "kid": "bad", "alg": "RS512"},
        {**ATTACKER, "kid": "bad", "d": "AQAB"},
        {**ATTACKER, "kid": "bad", "kty": "unknown"},
        "not a key",
    ],
)
async def test_bad_keys_in_the_set_are_ignored(api: ProtectedApi, bad: Any) -> None:
    """An unusable JWK verifies nothing, and the rest of the set goes on working."""
    api.issuer.body = dump({"keys": [bad, FORGE.jwk.members()]})
    assert (await api.ask(GOOD)).status == 200
    api.reached.clear()
    await assert_invalid_token(api, OTHER_KEY.token(header={"kid": "bad"}))


@pytest.mark.attack("V8")
@pytest.mark.rfc("roll-7", "7518-3-1")
async def test_ambiguous_and_weak_keys_are_ignored(api: ProtectedApi) -> None:
    """A kid that two keys share leads to none; an RSA key below 2048 bits is no key."""
    weak = weak_rsa_key().public_key().public_numbers().n
    weak_members = {
        **ATTACKER,
        "kid": "weak",
        "n": encode_base64url(weak.to_bytes((weak.bit_length() + 7) // 8, "big")),
    }
    twin = {**ATTACKER, "kid": "twin"}
    second = {**TokenForge(rsa_key(2)).jwk.members(), "kid": "twin"}
    api.issuer.body = dump({"keys": [weak_members, twin, second, FORGE.jwk.members()]})
    await assert_invalid_token(api, OTHER_KEY.token(header={"kid": "twin"}))
    head = segment(dump({**FORGE.good_header, "kid": "weak"})) + b"." + PAYLOAD
    signature = weak_rsa_key().sign(head, padding.PKCS1v15(), hashes.SHA256())
    await assert_invalid_token(api, head + b"." + segment(signature))
    assert (await api.ask(GOOD)).status == 200


@pytest.mark.attack("V9")
@pytest.mark.rfc("7515-4.1.11-1")
@pytest.mark.parametrize("crit", [["x"], [], "exp", ["exp"], ["exp", "exp"], ["b64"], None, 1])
async def test_crit_is_refused(api: ProtectedApi, crit: Any) -> None:
    """No extension is understood, so any `crit` is fatal."""
    await assert_invalid_token(api, FORGE.token(header={"crit": crit, "x": 1}))


@pytest.mark.attack("V10")
@pytest.mark.rfc("7797-7-1")
@pytest.mark.parametrize("b64", [False, True, "false"])
async def test_b64_is_refused(api: ProtectedApi, b64: Any) -> None:
    """`b64` has no place in a JWT, with or without `crit`, detached or not."""
    await assert_invalid_token(api, FORGE.token(header={"b64": b64}))
    await assert_invalid_token(api, FORGE.token(header={"b64": b64, "crit": ["b64"]}))
    await assert_invalid_token(api, HEADER + b".." + SIGNATURE)


@pytest.mark.attack("V11")
@pytest.mark.rfc("9068-4-6", "7515-5.2-1")
@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"AA",
        segment(b"\x00" * 256),
        segment(decode_base64url(SIGNATURE)[::-1]),
        segment(decode_base64url(SIGNATURE)[:-1]),
        segment(decode_base64url(SIGNATURE) + b"\x00"),
        FORGE.token(jti="other").rpartition(b".")[2],
        segment(ec.generate_private_key(ec.SECP256R1()).sign(HEADER, ec.ECDSA(hashes.SHA256()))),
    ],
)
async def test_signature_must_be_good(api: ProtectedApi, signature: bytes) -> None:
    """A signature that is empty, cut, swapped, padded, foreign or zero proves nothing."""
    await assert_invalid_token(api, HEADER + b"." + PAYLOAD + b"." + signature)


def with_loose_bits(part: bytes) -> bytes:
    """Set the unused bits of a segment that has some: the same bytes in a second spelling."""
    assert len(part) % 4
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part[:-1] + bytes([alphabet[alphabet.index(part[-1]) + 1]])


@pytest.mark.attack("V12")
@pytest.mark.rfc("7515-2-1", "8725bis-3.14-1")
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda part: part + b"=", 401),
        (lambda part: part + b"==", 401),
        (lambda part: part[:4] + b"+" + part[5:], 401),
        (lambda part: part[:4] + b"/" + part[5:], 401),
        (lambda part: part[:4] + b"~" + part[5:], 401),
        (lambda part: part + b"A", 401),
        (lambda part: part[:4] + b" " + part[4:], 400),
        (lambda part: part[:4] + b"\n" + part[4:], 400),
        (lambda part: part[:4] + b"\xc3\xa9" + part[4:], 400),
        (lambda part: part[:4] + b"\x00" + part[4:], 400),
    ],
)
async def test_segments_are_canonical(api: ProtectedApi, at: int, spoil: Any, status: int) -> None:
    """A second spelling of a segment is another token: refused, as are foreign characters."""
    parts = [HEADER, PAYLOAD, SIGNATURE]
    parts[at] = spoil(parts[at])
    answer = await api.ask(b".".join(parts))
    # `=` before a dot is not even token68 (RFC 9110 §11.2).
    expected = 400 if parts[at].endswith(b"=") and at < 2 else status
    assert answer.status == expected
    assert ("invalid_token" if expected == 401 else "invalid_request") in (answer.challenge or "")
    assert api.reached == []


@pytest.mark.attack("V12")
@pytest.mark.rfc("7515-2-1")
async def test_unused_bits_must_be_zero(api: ProtectedApi) -> None:
    """Unused bits are zero, in the signature too, which no signature protects."""
    await assert_invalid_token(api, HEADER + b"." + PAYLOAD + b"." + with_loose_bits(SIGNATURE))


@pytest.mark.attack("V13")
@pytest.mark.rfc("7515-3.1-1", "8725-3.3-1", "9068-4-2", "9068-4-13", "8725bis-3.13-1")
@pytest.mark.parametrize(
    "token",
    [
        HEADER,
        HEADER + b"." + PAYLOAD,
        GOOD + b".",
        b"." + GOOD,
        GOOD + b"." + SIGNATURE,
        b".".join([HEADER, b"", PAYLOAD, SIGNATURE, SIGNATURE]),
        b".",
        b"..",
        b"....",
        HEADER + b"." + segment(GOOD) + b"." + SIGNATURE,
        FORGE.raw(dump({**FORGE.good_header, "cty": "JWT"}), GOOD),
        FORGE.token(header={"zip": "DEF"}),
        FORGE.token(header={"enc": "A256GCM", "alg": "RSA-OAEP"}),
    ],
)
async def test_only_three_segments_are_a_token(api: ProtectedApi, token: bytes) -> None:
    """Anything but header, payload, signature is not a JWS; nested or encrypted ones neither."""
    await assert_invalid_token(api, token)


@pytest.mark.attack("V13")
@pytest.mark.rfc("7515-3.1-1")
async def test_json_serialisation_is_no_token(api: ProtectedApi) -> None:
    """The JSON serialisation of a JWS is not even token68."""
    jws = {"payload": PAYLOAD.decode(), "protected": HEADER.decode(), "signature": "x"}
    assert_invalid_request(await api.ask(dump(jws)))
