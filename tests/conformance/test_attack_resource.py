"""Every row of the attack table for a protected API, against the middleware as it is shipped."""

import hashlib
import hmac
import json
import math
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from keys import base64url
from resource_api.guard import require
from resource_api.jwks_client import JwksClient
from tests.support.forge import DROP, ISSUER, NOW, RESOURCE, TokenForge, dump, segment
from tests.support.gate import Answer, Gate, ask, bearer
from tests.support.keys import rsa_key, weak_rsa_key

FORGE = TokenForge()
GOOD = FORGE.token()
HEADER, PAYLOAD, SIGNATURE = FORGE.parts()
OTHER_KEY = TokenForge(rsa_key(1))
ATTACKER = OTHER_KEY.jwk.members()


@pytest.fixture
def gate() -> Gate:
    """Put a fresh gate before a fresh application."""
    return Gate(FORGE)


async def assert_invalid_token(gate: Gate, token: bytes) -> None:
    """401 `invalid_token`, nothing reached, nothing echoed, no fetch but that of the key set."""
    answer = await gate.ask(token)
    assert answer.status == 401
    assert 'error="invalid_token"' in (answer.challenge or "")
    assert answer.json["error"] == "invalid_token"
    assert gate.reached == []
    assert len(gate.issuer.asked) <= 1
    assert len(token) < 8 or token.decode("latin-1") not in repr((answer, gate.events))


def assert_invalid_request(answer: Answer) -> None:
    """400 `invalid_request`."""
    assert answer.status == 400
    assert 'error="invalid_request"' in (answer.challenge or "")


def assert_no_credentials(answer: Answer) -> None:
    """401 with a challenge that names no error (RFC 6750 §3.1)."""
    assert answer.status == 401
    assert answer.challenge is not None
    assert answer.challenge.startswith("Bearer realm=")
    assert "error" not in answer.challenge


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
    modulus = base64url.decode(members["n"])
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
async def test_none_is_no_algorithm(gate: Gate, alg: str, signature: bytes) -> None:
    """An unsigned token is refused in every spelling of `none` and with any signature."""
    head = segment(dump({**FORGE.good_header, "alg": alg}))
    await assert_invalid_token(gate, b".".join([head, PAYLOAD, signature]))


@pytest.mark.attack("V2")
@pytest.mark.rfc("7515-4.1.1-1")
@pytest.mark.parametrize(
    "alg", [DROP, None, ["RS256"], {}, 1, True, "", "rs256", "RS256 ", "RS512", "RSA1_5"]
)
async def test_alg_is_required_and_exact(gate: Gate, alg: Any) -> None:
    """`alg` is one string of the allow-list, case-sensitive."""
    await assert_invalid_token(gate, FORGE.token(header={"alg": alg}))


@pytest.mark.attack("V3")
@pytest.mark.rfc("8725-3.5-1")
@pytest.mark.parametrize("key", public_key_forms())
async def test_public_key_is_no_mac_key(gate: Gate, key: bytes) -> None:
    """HS256 keyed with the published key is refused: there is no HMAC in the table."""
    await assert_invalid_token(gate, mac_token(key))
    await assert_invalid_token(gate, mac_token(key, alg="RS256"))


@pytest.mark.attack("V4")
@pytest.mark.rfc("8725-3.1-1")
@pytest.mark.parametrize("alg", ["PS256", "ES256", "EdDSA", "RS384"])
async def test_key_has_one_algorithm(gate: Gate, alg: str) -> None:
    """A header that names another algorithm than the key's is refused."""
    await assert_invalid_token(gate, FORGE.token(header={"alg": alg}))


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
async def test_keys_in_the_token_are_refused(gate: Gate, extra: dict[str, Any]) -> None:
    """A header that brings or names its own key is refused, even when the signature is good."""
    await assert_invalid_token(gate, FORGE.token(header=extra))
    assert gate.issuer.asked == []
    await assert_invalid_token(gate, OTHER_KEY.token(header={**extra, "kid": FORGE.jwk.kid}))


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
async def test_kid_is_untrusted(gate: Gate, kid: Any) -> None:
    """A kid is looked up in memory and otherwise goes nowhere, least of all into the log."""
    await assert_invalid_token(gate, FORGE.token(header={"kid": kid}))
    assert all("kid" not in fields for name, fields in gate.events if name == "request.refused")


@pytest.mark.attack("V7")
@pytest.mark.rfc("roll-5")
@pytest.mark.parametrize("down", [False, True])
async def test_unknown_kids_do_not_hammer_the_issuer(gate: Gate, down: bool) -> None:
    """A thousand unknown kids cause at most one fetch per cool-down, failed ones counted."""
    assert await gate.jwks.warm()
    if down:
        gate.issuer.fails = ConnectionError()
    for number in range(1000):
        if number == 500:
            gate.monotonic.advance(31)
        answer = await gate.ask(FORGE.token(header={"kid": f"unknown-{number}"}))
        assert (answer.status, gate.reason) == (401, "unknown_key")
    assert len(gate.issuer.asked) == 2
    assert (await gate.ask(GOOD)).status == 200


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
async def test_bad_keys_in_the_set_are_ignored(gate: Gate, bad: Any) -> None:
    """An unusable JWK verifies nothing, and the rest of the set goes on working."""
    gate.issuer.body = dump({"keys": [bad, FORGE.jwk.members()]})
    assert (await gate.ask(GOOD)).status == 200
    gate.reached.clear()
    await assert_invalid_token(gate, OTHER_KEY.token(header={"kid": "bad"}))


@pytest.mark.attack("V8")
@pytest.mark.rfc("roll-7", "7518-3-1")
async def test_ambiguous_and_weak_keys_are_ignored(gate: Gate) -> None:
    """A kid that two keys share leads to none; an RSA key below 2048 bits is no key."""
    weak = weak_rsa_key().public_key().public_numbers().n
    weak_members = {
        **ATTACKER,
        "kid": "weak",
        "n": base64url.encode(weak.to_bytes((weak.bit_length() + 7) // 8, "big")),
    }
    twin = {**ATTACKER, "kid": "twin"}
    second = {**TokenForge(rsa_key(2)).jwk.members(), "kid": "twin"}
    gate.issuer.body = dump({"keys": [weak_members, twin, second, FORGE.jwk.members()]})
    await assert_invalid_token(gate, OTHER_KEY.token(header={"kid": "twin"}))
    head = segment(dump({**FORGE.good_header, "kid": "weak"})) + b"." + PAYLOAD
    signature = weak_rsa_key().sign(head, padding.PKCS1v15(), hashes.SHA256())
    await assert_invalid_token(gate, head + b"." + segment(signature))
    assert (await gate.ask(GOOD)).status == 200


@pytest.mark.attack("V9")
@pytest.mark.rfc("7515-4.1.11-1")
@pytest.mark.parametrize("crit", [["x"], [], "exp", ["exp"], ["exp", "exp"], ["b64"], None, 1])
async def test_crit_is_refused(gate: Gate, crit: Any) -> None:
    """No extension is understood, so any `crit` is fatal."""
    await assert_invalid_token(gate, FORGE.token(header={"crit": crit, "x": 1}))


@pytest.mark.attack("V10")
@pytest.mark.rfc("7797-7-1")
@pytest.mark.parametrize("b64", [False, True, "false"])
async def test_b64_is_refused(gate: Gate, b64: Any) -> None:
    """`b64` has no place in a JWT, with or without `crit`, detached or not."""
    await assert_invalid_token(gate, FORGE.token(header={"b64": b64}))
    await assert_invalid_token(gate, FORGE.token(header={"b64": b64, "crit": ["b64"]}))
    await assert_invalid_token(gate, HEADER + b".." + SIGNATURE)


@pytest.mark.attack("V11")
@pytest.mark.rfc("9068-4-6", "7515-5.2-1")
@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"AA",
        segment(b"\x00" * 256),
        segment(base64url.decode(SIGNATURE)[::-1]),
        segment(base64url.decode(SIGNATURE)[:-1]),
        segment(base64url.decode(SIGNATURE) + b"\x00"),
        FORGE.token(jti="other").rpartition(b".")[2],
        segment(ec.generate_private_key(ec.SECP256R1()).sign(HEADER, ec.ECDSA(hashes.SHA256()))),
    ],
)
async def test_signature_must_be_good(gate: Gate, signature: bytes) -> None:
    """A signature that is empty, cut, swapped, padded, foreign or zero proves nothing."""
    await assert_invalid_token(gate, HEADER + b"." + PAYLOAD + b"." + signature)


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
async def test_segments_are_canonical(gate: Gate, at: int, spoil: Any, status: int) -> None:
    """A second spelling of a segment is another token: refused, as are foreign characters."""
    parts = [HEADER, PAYLOAD, SIGNATURE]
    parts[at] = spoil(parts[at])
    answer = await gate.ask(b".".join(parts))
    # `=` before a dot is not even token68 (RFC 9110 §11.2).
    expected = 400 if parts[at].endswith(b"=") and at < 2 else status
    assert answer.status == expected
    assert ("invalid_token" if expected == 401 else "invalid_request") in (answer.challenge or "")
    assert gate.reached == []


@pytest.mark.attack("V12")
@pytest.mark.rfc("7515-2-1")
async def test_unused_bits_must_be_zero(gate: Gate) -> None:
    """Unused bits are zero, in the signature too, which no signature protects."""
    await assert_invalid_token(gate, HEADER + b"." + PAYLOAD + b"." + with_loose_bits(SIGNATURE))


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
async def test_only_three_segments_are_a_token(gate: Gate, token: bytes) -> None:
    """Anything but header, payload, signature is not a JWS; nested or encrypted ones neither."""
    await assert_invalid_token(gate, token)


@pytest.mark.attack("V13")
@pytest.mark.rfc("7515-3.1-1")
async def test_json_serialisation_is_no_token(gate: Gate) -> None:
    """The JSON serialisation of a JWS is not even token68."""
    jws = {"payload": PAYLOAD.decode(), "protected": HEADER.decode(), "signature": "x"}
    assert_invalid_request(await gate.ask(dump(jws)))


REPEATED_HEADER = dump(FORGE.good_header)[:-1]
REPEATED_CLAIMS = dump(FORGE.good_claims)[:-1]


@pytest.mark.attack("V14")
@pytest.mark.rfc("7515-4-1", "7519-4-1")
@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (REPEATED_HEADER + b',"alg":"RS256"}', REPEATED_CLAIMS + b"}"),
        (REPEATED_HEADER + b',"k\\u0069d":"x"}', REPEATED_CLAIMS + b"}"),
        (REPEATED_HEADER + b"}", REPEATED_CLAIMS + b',"scope":"admin"}'),
        (REPEATED_HEADER + b"}", REPEATED_CLAIMS + b',"\\u0073cope":"admin"}'),
        (REPEATED_HEADER + b"}", REPEATED_CLAIMS + b',"x":{"a":1,"a":1}}'),
        (REPEATED_HEADER + b"}", REPEATED_CLAIMS + b',"x":[{"a":1,"a":1}]}'),
    ],
)
async def test_repeated_names_are_refused(gate: Gate, header: bytes, payload: bytes) -> None:
    """Two members of one name mean two things to two parsers, however they are spelt."""
    await assert_invalid_token(gate, FORGE.raw(header, payload))


CLAIMS = dump(FORGE.good_claims)


@pytest.mark.attack("V15")
@pytest.mark.rfc("8725-3.7-1", "9068-4-2")
@pytest.mark.parametrize(
    "payload",
    [
        CLAIMS.decode().encode("utf-16"),
        CLAIMS.decode().encode("utf-32-le"),
        b"\xef\xbb\xbf" + CLAIMS,
        CLAIMS[:-1] + b',"x":"\xff"}',
        CLAIMS[:-1] + b',"x":"\xed\xa0\x80"}',
        CLAIMS[:-1] + b',"x":"\\ud800"}',
        CLAIMS[:-1] + b',"\\udfff":1}',
        CLAIMS[:-1] + b',"x":"\\u0000"}',
        CLAIMS[:-1] + b',"x":"\x00"}',
        CLAIMS + b"x",
        CLAIMS + CLAIMS,
        CLAIMS + b"\x00",
        b"[" + CLAIMS + b"]",
        b'"x"',
        b"null",
        b"1",
        b"",
        b"{",
        CLAIMS[:-1] + b",}",
        CLAIMS.replace(b'"', b"'"),
    ],
)
async def test_json_is_strict(gate: Gate, payload: bytes) -> None:
    """Claims and header are one UTF-8 JSON object each and nothing else."""
    await assert_invalid_token(gate, FORGE.raw(dump(FORGE.good_header), payload))
    header = payload.replace(CLAIMS[:-1], dump(FORGE.good_header)[:-1])
    if header != dump(FORGE.good_header):
        await assert_invalid_token(gate, FORGE.raw(header, CLAIMS))


@pytest.mark.attack("V16")
@pytest.mark.rfc("9068-4-2")
@pytest.mark.parametrize(
    "value",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 3000 + b"]" * 3000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"{" + b",".join(b'"m%d":1' % n for n in range(100_000)) + b"}",
        b"9" * 5000,
        b"-" + b"9" * 5000,
        b"1e400",
        b"-1e400",
        b"NaN",
        b"Infinity",
    ],
    ids=range(10),
)
async def test_json_is_bounded(gate: Gate, value: bytes) -> None:
    """Nesting, members and numbers cost a bounded time."""
    payload = CLAIMS[:-1] + b',"x":' + value + b"}"
    await assert_invalid_token(gate, FORGE.raw(dump(FORGE.good_header), payload))


@pytest.mark.attack("V17")
@pytest.mark.rfc("9068-4-1")
async def test_size_is_bounded(gate: Gate) -> None:
    """A token above 8 KB is refused before anything in it is read; one just below is not."""
    room = 8192 - len(FORGE.token(x=""))
    assert (await gate.ask(FORGE.token(x="x" * (room * 3 // 4 - 3)))).status == 200
    gate.reached.clear()
    await assert_invalid_token(gate, FORGE.token(x="x" * 8192))
    assert gate.reason == "token_too_long"
    await assert_invalid_token(gate, b"x" * 300_000)


NO_DATES = [
    DROP, None, "1800000300", " 123 ", "9_999", "", True, math.nan, math.inf, -math.inf, -1,
    10**30, 9e99, 2**53, [NOW + 300], {},
]  # fmt: skip


@pytest.mark.attack("V18")
@pytest.mark.rfc("7519-2-1", "9068-4-9")
@pytest.mark.parametrize("exp", NO_DATES)
async def test_exp_is_a_number(gate: Gate, exp: Any) -> None:
    """`exp` is required and a finite JSON number from 0 to 2^53."""
    await assert_invalid_token(gate, FORGE.token(exp=exp))


@pytest.mark.attack("V19")
@pytest.mark.rfc("7519-4.1-1", "9068-4-9", "21-5.2-1")
@pytest.mark.parametrize("remembered", [False, True])
async def test_exp_at_the_edge(gate: Gate, remembered: bool) -> None:
    """A token is accepted before `exp` plus leeway and refused from then on, remembered or not."""
    if remembered:
        assert (await gate.ask(GOOD)).status == 200
    gate.clock.now = NOW + 300 + 10 - 1
    assert (await gate.ask(GOOD)).status == 200
    gate.reached.clear()
    gate.clock.now = NOW + 300 + 10
    await assert_invalid_token(gate, GOOD)
    assert gate.reason == "expired"


@pytest.mark.attack("V20")
@pytest.mark.rfc("7519-4.1-1", "9068-4-9")
@pytest.mark.parametrize(
    "claims",
    [
        {"nbf": NOW + 11},
        *({"nbf": value} for value in NO_DATES if value is not DROP),
        {"iat": NOW + 61},
        *({"iat": value} for value in NO_DATES),
        {"iat": NOW, "exp": NOW - 5},
        {"exp": NOW + 86_400 + 11},
        {"iat": NOW - 86_400, "exp": NOW + 11},
    ],
)
async def test_times_are_plausible(gate: Gate, claims: dict[str, Any]) -> None:
    """A token from the future, with times out of order, or with too long a life is refused."""
    await assert_invalid_token(gate, FORGE.token(**claims))


@pytest.mark.rfc("7519-4.1-1", "7519-2-1")
@pytest.mark.parametrize(
    "claims",
    [
        {"nbf": NOW + 10},
        {"nbf": 0},
        {"iat": NOW + 60},
        {"exp": NOW + 86_410},
        {"iat": NOW - 0.5, "exp": NOW + 0.5},
    ],
)
async def test_times_within_bounds(gate: Gate, claims: dict[str, Any]) -> None:
    """Clocks may differ by the leeway, and fractions of a second are legal."""
    assert (await gate.ask(FORGE.token(**claims))).status == 200


@pytest.mark.attack("V21")
@pytest.mark.rfc("8725-3.9-1", "9068-4-8", "9700-2.3-1")
@pytest.mark.parametrize(
    "aud",
    [
        DROP, None, "", [], 7, {}, {RESOURCE: 1}, [RESOURCE, 7], [RESOURCE, None], [[RESOURCE]],
        RESOURCE[:-1], RESOURCE + "/", RESOURCE + "/x", RESOURCE.upper(), ["https://api"], "svc-a",
        "https://other.example", [f"{RESOURCE} https://other.example"],
    ],
)  # fmt: skip
async def test_aud_must_be_us(gate: Gate, aud: Any) -> None:
    """`aud` is a string or a list of strings, and one of them is exactly this API."""
    await assert_invalid_token(gate, FORGE.token(aud=aud))


@pytest.mark.attack("V22")
@pytest.mark.rfc("9068-4-8")
async def test_aud_may_be_a_list(gate: Gate) -> None:
    """A token may be for several resources if we are one of them."""
    assert (await gate.ask(FORGE.token(aud=["https://other.example", RESOURCE]))).status == 200
    assert gate.reached[0]["access_token"].audience == ("https://other.example", RESOURCE)


@pytest.mark.attack("V23")
@pytest.mark.rfc("8725-3.8-1", "9068-4-7")
@pytest.mark.parametrize(
    "iss",
    [
        DROP, None, "", 7, [ISSUER], ISSUER + "/", ISSUER.upper(), "http://as.example",
        "https://other.example",
    ],
)  # fmt: skip
async def test_iss_is_exact(gate: Gate, iss: Any) -> None:
    """`iss` is our issuer, byte for byte."""
    await assert_invalid_token(gate, FORGE.token(iss=iss))


@pytest.mark.attack("V23")
@pytest.mark.rfc("8725-3.8-1", "9068-4-5")
async def test_key_of_another_issuer_does_not_count(gate: Gate) -> None:
    """A token in our issuer's name, signed by an issuer that others trust, is refused."""
    await assert_invalid_token(gate, OTHER_KEY.token())
    await assert_invalid_token(gate, OTHER_KEY.token(header={"kid": FORGE.jwk.kid}))


@pytest.mark.attack("V24")
@pytest.mark.rfc("9068-4-10")
@pytest.mark.parametrize("name", ["sub", "client_id", "jti"])
@pytest.mark.parametrize("value", [DROP, None, "", 7, True, ["svc-a"], {}, "x" * 256])
async def test_identity_is_required(gate: Gate, name: str, value: Any) -> None:
    """`sub`, `client_id` and `jti` are strings of 1 to 255 characters."""
    await assert_invalid_token(gate, FORGE.token(**{name: value}))


@pytest.mark.attack("V25")
@pytest.mark.rfc("8725-3.12-1", "9068-4-3")
@pytest.mark.parametrize(
    "typ",
    [
        DROP, None, "", "JWT", "jwt", "client-authentication+jwt", "dpop+jwt", "statuslist+jwt",
        "logout+jwt", "secevent+jwt", "token-introspection+jwt", "application/jwt", "JOSE",
    ],
)  # fmt: skip
async def test_other_tokens_of_our_issuer_are_refused(gate: Gate, typ: Any) -> None:
    """A JWT that is not marked as an access token is none, though our issuer signed it."""
    await assert_invalid_token(gate, FORGE.token(header={"typ": typ}))
    assert gate.reason == "wrong_type"


@pytest.mark.attack("V25")
@pytest.mark.rfc("8725-3.12-1")
async def test_id_token_is_refused(gate: Gate) -> None:
    """An ID token, to our very audience, is not an access token."""
    token = FORGE.token(header={"typ": DROP}, nonce="n", client_id=DROP, scope=DROP, azp="svc-a")
    await assert_invalid_token(gate, token)


@pytest.mark.attack("V26")
@pytest.mark.rfc("8725-3.11-1", "9068-4-3", "9068-2.1-1")
@pytest.mark.parametrize("typ", ["AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/AT+JWT"])
async def test_typ_is_a_media_type(gate: Gate, typ: str) -> None:
    """`typ` is compared as a media type: without case, `application/` understood."""
    assert (await gate.ask(FORGE.token(header={"typ": typ}))).status == 200


@pytest.mark.attack("V26")
@pytest.mark.rfc("9068-4-3")
@pytest.mark.parametrize(
    "typ", ["at+jwt;x=1", "at+jwt; x", ["at+jwt"], "at+jwt ", "text/at+jwt", {}, 1]
)
async def test_typ_is_exact_otherwise(gate: Gate, typ: Any) -> None:
    """Parameters, lists and other media types are refused."""
    await assert_invalid_token(gate, FORGE.token(header={"typ": typ}))


@pytest.mark.attack("V27")
@pytest.mark.parametrize(
    "scope",
    [
        ["read"], 7, {}, None, True, "", " ", "read  write", " read", "read ", "read\twrite",
        "read\n", 'a"b', "a\\b", "lésen", "read\x7f",
    ],
)  # fmt: skip
async def test_scope_follows_the_grammar(gate: Gate, scope: Any) -> None:
    """`scope` is one string of RFC 6749 §3.3; nothing is repaired."""
    await assert_invalid_token(gate, FORGE.token(scope=scope))


@pytest.mark.attack("V28")
async def test_scope_may_repeat(gate: Gate) -> None:
    """The same scope twice is the same set."""
    assert (await gate.ask(FORGE.token(scope="read write read"))).status == 200
    assert gate.reached[0]["access_token"].scopes == {"read", "write"}


@pytest.mark.attack("V29")
@pytest.mark.parametrize("scope", ["readwrite", "read:all", "READ", "read,write", "reader", DROP])
async def test_scopes_are_compared_whole(scope: Any) -> None:
    """A scope that only resembles the one needed does not count."""
    reached: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guarded = Gate(FORGE, app=require("read").app(app))
    answer = await guarded.ask(FORGE.token(scope=scope))
    assert answer.status == 403
    assert 'error="insufficient_scope"' in (answer.challenge or "")
    assert 'scope="read"' in (answer.challenge or "")
    assert (await guarded.ask(FORGE.token(scope="write read"))).status == 200
    assert len(reached) == 1


@pytest.mark.attack("V30")
@pytest.mark.rfc("6750-3.1-1")
@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b""],
        [b" "],
        [b"Basic c3ZjLWE6c2VjcmV0"],
        [b"Negotiate YII"],
        [b"Bearer=x"],
        [b"Bearerx"],
        [b"DPoP " + GOOD],
        [GOOD],
    ],
)
async def test_no_credentials_name_no_error(gate: Gate, lines: list[bytes]) -> None:
    """Without credentials of our scheme, the challenge only says what is wanted."""
    headers = [(b"authorization", line) for line in lines]
    assert_no_credentials(await ask(gate.app, "GET", "/read", *headers))


@pytest.mark.attack("V31")
@pytest.mark.rfc("21-5.1.1-1", "6750-2.1-1")
@pytest.mark.parametrize(
    "line",
    [
        b"bearer " + GOOD,
        b"BEARER " + GOOD,
        b"bEaReR " + GOOD,
        b"Bearer    " + GOOD,
        b"Bearer " + GOOD + b" ",
        b"Bearer " + GOOD + b" \t ",
    ],
)
async def test_scheme_is_read_leniently(gate: Gate, line: bytes) -> None:
    """The scheme has no case, and blanks around the token do not count."""
    assert (await ask(gate.app, "GET", "/read", (b"authorization", line))).status == 200


@pytest.mark.attack("V32")
@pytest.mark.rfc("6750-2.1-1")
@pytest.mark.parametrize(
    "line",
    [
        b"Bearer",
        b"Bearer ",
        b"bearer\t",
        b"Bearer " + GOOD + b" " + GOOD,
        b"Bearer a b",
        b"Bearer\t" + GOOD,
        b"Bearer \t" + GOOD,
        b'Bearer "' + GOOD + b'"',
        b"Bearer " + GOOD + b", Bearer " + GOOD,
        b"Bearer " + GOOD + b",",
        b"Bearer \xc3\xa9",
        b"Bearer \xff",
        b"Bearer a=b",
        b"Bearer =",
        b"Bearer " + GOOD + b"\x00",
    ],
)
async def test_malformed_header_is_a_bad_request(gate: Gate, line: bytes) -> None:
    """After `Bearer` comes exactly one token68."""
    assert_invalid_request(await ask(gate.app, "GET", "/read", (b"authorization", line)))
    assert gate.reached == []


@pytest.mark.attack("V33")
@pytest.mark.rfc("6750-2-1")
@pytest.mark.parametrize(
    "lines",
    [
        [b"Bearer " + GOOD, b"Bearer " + GOOD],
        [b"Bearer " + GOOD, b"DPoP " + GOOD],
        [b"Basic x", b"Bearer " + GOOD],
        [b"", b"Bearer " + GOOD],
        [b"DPoP " + GOOD + b", Bearer " + GOOD],
        [b"Basic x,bearer " + GOOD],
    ],
)
async def test_several_credentials_are_a_bad_request(gate: Gate, lines: list[bytes]) -> None:
    """Two Authorization lines, or two schemes in one, are several methods at once."""
    headers = [(b"authorization", line) for line in lines]
    assert_invalid_request(await ask(gate.app, "GET", "/read", *headers))
    assert (gate.reason, gate.reached) == ("several_credentials", [])


@pytest.mark.attack("V34")
@pytest.mark.rfc("6750-2.2-1", "6750-2.3-1", "21-5.1-1", "9700-4.10-1")
async def test_token_elsewhere_does_not_count(gate: Gate) -> None:
    """A token in query, body or cookie is not looked at, and not logged."""
    form = (b"content-type", b"application/x-www-form-urlencoded")
    answers = [
        await ask(gate.app, "GET", "/read", query=b"access_token=" + GOOD),
        await ask(gate.app, "POST", "/read", form, body=b"access_token=" + GOOD),
        await ask(gate.app, "GET", "/read", (b"cookie", b"access_token=" + GOOD)),
    ]
    for answer in answers:
        assert_no_credentials(answer)
    assert GOOD.decode() not in repr(gate.events)


@pytest.mark.attack("V35")
@pytest.mark.rfc("21-5.1-1")
async def test_header_decides(gate: Gate) -> None:
    """A token in the query neither helps nor harms one in the header."""
    bad = b"access_token=x.y.z"
    good = b"access_token=" + GOOD
    assert (await ask(gate.app, "GET", "/read", bearer(GOOD), query=bad)).status == 200
    assert (await ask(gate.app, "GET", "/read", bearer(b"x.y.z"), query=good)).status == 401


@pytest.mark.attack("V36")
@pytest.mark.rfc("9068-4-11")
@pytest.mark.parametrize("cnf", [{"jkt": "x"}, {"x5t#S256": "x"}, {"unknown": 1}, {}, None, "x"])
async def test_bound_token_is_no_bearer_token(gate: Gate, cnf: Any) -> None:
    """A token with any confirmation claim needs a proof that we cannot check."""
    await assert_invalid_token(gate, FORGE.token(cnf=cnf))
    assert gate.reason == "sender_constrained"


@pytest.mark.parametrize("status", [{"status_list": {"idx": 1, "uri": "https://x"}}, {}, None])
async def test_token_with_a_status_is_refused(gate: Gate, status: Any) -> None:
    """A token that asks for a status check is refused as long as none is made."""
    await assert_invalid_token(gate, FORGE.token(status=status))
    assert gate.reason == "unchecked_status"


@pytest.mark.attack("V38")
async def test_forwarded_headers_prove_nothing(gate: Gate) -> None:
    """Headers that a proxy might set let nobody in and change no address of ours."""
    forged = [
        (b"client-cert", b":MIIB:"),
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-forwarded-host", b"evil.example"),
        (b"x-forwarded-proto", b"http"),
        (b"host", b"evil.example"),
        (b"x-forwarded-access-token", GOOD),
    ]
    answer = await ask(gate.app, "GET", "/read", *forged)
    assert_no_credentials(answer)
    assert "evil" not in repr(answer)


@pytest.mark.attack("V41")
@pytest.mark.rfc("roll-5")
@pytest.mark.parametrize(
    "bad_day",
    [
        {"status": 500},
        {"status": 404},
        {"status": 302, "headers": {"location": "https://evil.example/jwks"}},
        {"status": 304},
        {"headers": {"content-type": "text/html"}, "body": b"<html>"},
        {"headers": {"content-type": "text/html"}},
        {"body": b"<html>"},
        {"body": b""},
        {"body": b"{}"},
        {"body": b'{"keys":[]}'},
        {"body": b'{"keys":{}}'},
        {"body": b'{"keys":[{"kty":"oct"}]}'},
        {"body": b" " * 10_000_000},
        {"body": dump({"keys": [ATTACKER] * 51})},
        {"fails": TimeoutError()},
        {"fails": ConnectionError()},
        {"fails": RuntimeError("x")},
    ],
)
async def test_bad_day_of_the_issuer(bad_day: dict[str, Any]) -> None:
    """The last good set serves on; without one the answer is 503 and never a guess."""
    warm, cold = Gate(FORGE), Gate(FORGE)
    assert await warm.jwks.warm()
    for gate in (warm, cold):
        for name, value in bad_day.items():
            if not (gate is warm and bad_day == {"status": 304}):
                setattr(gate.issuer, name, value)
    warm.monotonic.advance(299)
    assert (await warm.ask(GOOD)).status == 200
    assert (await warm.ask(FORGE.token(header={"kid": "unknown"}))).status == 401
    answer = await cold.ask(GOOD)
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert answer.json["error"] == "temporarily_unavailable"
    assert answer.challenge is None
    assert cold.reached == []


@pytest.mark.attack("V41")
@pytest.mark.rfc("roll-5")
async def test_slow_issuer_is_given_up() -> None:
    """A fetch that takes too long is a failed one."""
    import asyncio

    async def never(etag: str | None) -> Any:
        await asyncio.Event().wait()

    gate = Gate(FORGE)
    jwks = JwksClient(never, clock=gate.monotonic, timeout=0.01)
    assert not await jwks.warm()
    assert not jwks.ready


@pytest.mark.attack("V42")
@pytest.mark.parametrize(
    ("method", "path", "raw_path"),
    [
        ("GET", "//public", None),
        ("GET", "/public/", None),
        ("GET", "/Public", None),
        ("GET", "/public/../read", None),
        ("GET", "/./public", None),
        ("GET", "/public", b"/%70ublic"),
        ("GET", "/public", b"/public%00"),
        ("GET", "/read/../public", b"/read/%2e%2e/public"),
        ("GET", "/public/x", b"/public%2Fx"),
        ("GET", "/public;x", None),
        ("GET", "", b""),
        ("GET", "/", None),
        ("HEAD", "/public", None),
        ("OPTIONS", "/public", None),
        ("TRACE", "/public", None),
        ("POST", "/public", None),
        ("get", "/public", None),
        ("POST", "/.well-known/oauth-protected-resource", None),
        ("GET", "/.well-known/oauth-protected-resource/x", None),
    ],
)
async def test_denied_by_default(
    gate: Gate, method: str, path: str, raw_path: bytes | None
) -> None:
    """What is not on the list, method and path as sent, needs a token."""
    override = (b"x-http-method-override", b"GET")
    assert_no_credentials(await ask(gate.app, method, path, override, raw_path=raw_path))
    assert gate.reached == []


@pytest.mark.attack("V42")
async def test_open_route_is_open(gate: Gate) -> None:
    """What is on the list needs none, and a bad token does not close it."""
    assert (await ask(gate.app, "GET", "/public")).status == 200
    assert (await ask(gate.app, "GET", "/public", bearer(b"x"))).status == 200


@pytest.mark.attack("V42")
async def test_websocket_needs_a_token(gate: Gate) -> None:
    """A WebSocket is refused before it opens, with a challenge where the server can send one."""
    assert (await ask(gate.app, "GET", "/public", kind="websocket")).status == 1008
    able = {"websocket.http.response": {}}
    refused = await ask(gate.app, "GET", "/ws", kind="websocket", extensions=able)
    assert_no_credentials(refused)
    assert gate.reached == []
    assert (await ask(gate.app, "GET", "/ws", bearer(GOOD), kind="websocket")).status == 101


@pytest.mark.attack("V43")
async def test_expiry_is_judged_at_the_start() -> None:
    """A response that streams on beyond `exp` is not cut; the next request is refused."""
    gate = Gate(FORGE)

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"be", "more_body": True})
        gate.clock.advance(10_000)
        await send({"type": "http.response.body", "body": b"fore"})

    gate.app.app = slow
    assert (await gate.ask(GOOD)).body == b"before"
    assert (await gate.ask(GOOD)).status == 401


@pytest.mark.attack("V44")
async def test_bearer_token_may_be_replayed(gate: Gate) -> None:
    """A Bearer token is accepted from whoever holds it, as often as it is sent."""
    for peer in (b"10.0.0.1", b"10.0.0.2"):
        forwarded = (b"x-forwarded-for", peer)
        assert (await ask(gate.app, "GET", "/read", bearer(GOOD), forwarded)).status == 200
