"""The attack table of a protected API, for every algorithm: forged, altered and swapped signatures.

The kinds are those of Wycheproof's vectors; the keys are real and new in each session.
"""

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from keys.encoding import decode_base64url
from keys.key_types import ALGORITHMS, algorithm, verifier
from resource_api import InvalidToken, ResourcePolicy, verify
from tests.support.attack import assert_invalid_token
from tests.support.keys import public_key_of
from tests.support.protected_api import ProtectedApi
from watchword.testing.forge import ISSUER, NOW, RESOURCE, TokenForge, dump, segment
from watchword.testing.keys import private_key

POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, algorithms=tuple(ALGORITHMS))
ELLIPTIC = [alg for alg in ALGORITHMS if algorithm(alg).kty == "EC"]
POST_QUANTUM = [alg for alg in ALGORITHMS if algorithm(alg).kty == "AKP"]
ORDERS = {
    "ES256": ec.SECP256R1().group_order,
    "ES384": ec.SECP384R1().group_order,
    "ES512": ec.SECP521R1().group_order,
}
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def forge(alg: str) -> TokenForge:
    """Return the forge of the session's key for an algorithm."""
    return TokenForge(private_key(alg), alg=alg)


def api_of(alg: str) -> ProtectedApi:
    """Put an API that accepts every algorithm before the key set with the one key."""
    return ProtectedApi(forge(alg), policy=POLICY)


def taken_apart(alg: str) -> tuple[bytes, bytes]:
    """Give the signing input and the signature of the good token."""
    signing_input, _, signature = forge(alg).token().rpartition(b".")
    return signing_input, decode_base64url(signature)


async def assert_refused(alg: str, signature: bytes) -> None:
    """Show a well-formed token with this signature."""
    signing_input, _ = taken_apart(alg)
    await assert_invalid_token(api_of(alg), signing_input + b"." + segment(signature))


def halves(signature: bytes) -> tuple[int, int]:
    """Read r and s of a raw signature."""
    width = len(signature) // 2
    return int.from_bytes(signature[:width]), int.from_bytes(signature[width:])


def raw(alg: str, r: int, s: int) -> bytes:
    """Write r and s as RFC 7518 §3.4 has it."""
    width = {"ES256": 32, "ES384": 48, "ES512": 66}[alg]
    return r.to_bytes(width) + s.to_bytes(width)


@pytest.mark.attack("V11")
@pytest.mark.rfc("7515-5.2-1", "7518-3-1")
@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_only_the_signature_itself_counts(alg: str) -> None:
    """Empty, cut, extended, zero, full, reversed, another's: none proves anything."""
    api, (signing_input, signature) = api_of(alg), taken_apart(alg)
    assert (await api.ask(signing_input + b"." + segment(signature))).status == 200
    other = decode_base64url(forge(alg).token(jti="other").rpartition(b".")[2])
    foreign = verifier(alg).sign(signing_input, private_key(alg, 1))
    for altered in (
        *(b"", signature[:1], signature[:-1], signature[1:], signature[: len(signature) // 2]),
        *(signature + b"\0", b"\0" + signature, signature + signature),
        *(bytes(len(signature)), b"\xff" * len(signature), signature[::-1]),
        *(bytes([signature[0] ^ 1]) + signature[1:], signature[:-1] + bytes([signature[-1] ^ 128])),
        *(other, foreign),
    ):
        await assert_refused(alg, altered)


@pytest.mark.attack("V11")
@pytest.mark.rfc("7518-3-1")
@pytest.mark.parametrize("alg", ELLIPTIC)
async def test_numbers_out_of_range_are_no_ecdsa_signature(alg: str) -> None:
    """RFC 7518 §3.4: r and s are in [1, n-1], in full width, and never in DER."""
    _, signature = taken_apart(alg)
    r, s = halves(signature)
    n = ORDERS[alg]
    largest = (1 << len(signature) * 4) - 1
    for altered in (
        *((0, s), (r, 0), (0, 0), (0, 1), (1, 0), (1, 1), (s, r), (n, 0), (0, n)),
        # r + n and s + n are the same numbers modulo n, where they fit the width.
        *((x, s) for x in (n, n + 1, r + n, largest)),
        *((r, x) for x in (n, n + 1, s + n, largest)),
    ):
        if max(altered) <= largest:
            await assert_refused(alg, raw(alg, *altered))
    await assert_refused(alg, encode_dss_signature(r, s))
    # The width of another curve, with the same numbers in it.
    for width in (32, 48, 66):
        if width * 2 != len(signature) and width * 2 > len(signature):
            await assert_refused(alg, r.to_bytes(width) + s.to_bytes(width))


@pytest.mark.attack("V11")
@pytest.mark.rfc("7518-3-1")
@pytest.mark.parametrize("alg", ELLIPTIC)
async def test_high_s_is_accepted_as_low_s_is(alg: str) -> None:
    """RFC 7518 §3.4 asks for no low s, and many signers make none: -s mod n is as good.

    So a token has two spellings. No list of ours goes by the text of a token, only by its `jti`.
    """
    api, (signing_input, signature) = api_of(alg), taken_apart(alg)
    r, s = halves(signature)
    other = segment(raw(alg, r, ORDERS[alg] - s))
    assert (await api.ask(signing_input + b"." + other)).status == 200


@pytest.mark.attack("V11")
@pytest.mark.rfc("8037-2-1")
@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
async def test_s_of_an_ed25519_signature_is_below_the_order(alg: str) -> None:
    """RFC 8032 §5.1.7: S + L is the same number modulo L, and another spelling: refused."""
    _, signature = taken_apart(alg)
    s = int.from_bytes(signature[32:], "little")
    for other in (s + ED25519_ORDER, s + 2 * ED25519_ORDER, ED25519_ORDER):
        await assert_refused(alg, signature[:32] + other.to_bytes(32, "little"))
    # R = neutral point and S = 0, which is a signature under a key of small order.
    await assert_refused(alg, bytes([1]) + bytes(63))


@pytest.mark.attack("V11")
@pytest.mark.rfc("7518-3-1")
@pytest.mark.parametrize("alg", ["PS256", "PS384", "PS512"])
def test_a_pss_signature_has_the_width_of_its_key(alg: str) -> None:
    """RFC 8017 §8.1.2 step 1: without its leading zero octet, which one of 256 has, it is none."""
    key, scheme = private_key(alg), verifier(alg)
    signatures = (scheme.sign(b"message", key) for _ in range(20_000))
    padded = next(each for each in signatures if each[0] == 0)
    assert scheme.verify(b"message", key.public_key(), padded)
    assert not scheme.verify(b"message", key.public_key(), padded[1:])


def pss(salt: int, mask: hashes.HashAlgorithm, digest: hashes.HashAlgorithm) -> bytes:
    """Sign the good PS256 token with other parameters."""
    return private_key("PS256").sign(
        taken_apart("PS256")[0], padding.PSS(padding.MGF1(mask), salt), digest
    )


@pytest.mark.attack("V11")
@pytest.mark.rfc("7518-3-1")
@pytest.mark.parametrize(
    ("salt", "mask", "digest"),
    [
        (0, hashes.SHA256(), hashes.SHA256()),
        (20, hashes.SHA256(), hashes.SHA256()),
        (padding.PSS.MAX_LENGTH, hashes.SHA256(), hashes.SHA256()),
        (32, hashes.SHA1(), hashes.SHA256()),
        (32, hashes.SHA512(), hashes.SHA256()),
        (32, hashes.SHA256(), hashes.SHA384()),
    ],
)
async def test_the_parameters_of_pss_are_fixed(
    salt: int, mask: hashes.HashAlgorithm, digest: hashes.HashAlgorithm
) -> None:
    """RFC 7518 §3.5: a salt as long as the digest, and MGF1 with the same hash."""
    await assert_refused("PS256", pss(salt, mask, digest))


# RFC 8017 §9.2: what stands before a SHA-256 digest.
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


@pytest.mark.attack("V11")
@pytest.mark.rfc("7518-3-1")
@pytest.mark.parametrize(
    ("start", "padding_octet", "info", "end"),
    [
        (b"\0\1", b"\xff", DIGEST_INFO[:13] + DIGEST_INFO[15:], b""),  # without the NULL
        (b"\0\1", b"\xff", b"\x30\x81" + DIGEST_INFO[1:], b""),  # BER
        (b"\0\1", b"\xff", DIGEST_INFO.replace(b"\4\2\1", b"\4\2\2"), b""),  # SHA-384's name
        (b"\0\1", b"\xff", b"", b""),  # the digest alone
        (b"\0\1", b"\xff", DIGEST_INFO, b"garbage!"),
        (b"\0\1", b"\0", DIGEST_INFO, b""),
        (b"\0\2", b"\xff", DIGEST_INFO, b""),
        (b"\1\1", b"\xff", DIGEST_INFO, b""),
    ],
)
async def test_the_padding_of_rs256_is_exact(
    start: bytes, padding_octet: bytes, info: bytes, end: bytes
) -> None:
    """RFC 8017 §8.2.2: the whole block is compared, not parsed (CVE-2006-4339)."""
    signing_input, signature = taken_apart("RS256")
    digest = hashlib.sha256(signing_input).digest()

    def sign(start: bytes, octet: bytes, info: bytes, end: bytes = b"") -> bytes:
        inner = b"\0" + info + digest + end
        block = start + octet * (256 - len(start) - len(inner)) + inner
        numbers = private_key("RS256").private_numbers()
        return pow(int.from_bytes(block), numbers.d, numbers.public_numbers.n).to_bytes(256)

    assert sign(b"\0\1", b"\xff", DIGEST_INFO) == signature
    await assert_refused("RS256", sign(start, padding_octet, info, end))


@pytest.mark.attack("V11")
@pytest.mark.rfc("7518-3-1")
async def test_a_number_beyond_the_modulus_is_no_rsa_signature() -> None:
    """RFC 8017 §5.2.2: s + n is the same number modulo n, where it fits the length."""
    for alg in ("RS256", "PS256"):
        n = private_key(alg).public_key().public_numbers().n
        for value in (n, n - 1, 1, int.from_bytes(taken_apart(alg)[1]) + n):
            if value < 1 << 2048:
                await assert_refused(alg, value.to_bytes(256))


@pytest.mark.attack("V11")
@pytest.mark.rfc("9964-1")
@pytest.mark.parametrize("alg", POST_QUANTUM)
async def test_ml_dsa_is_signed_with_an_empty_context(alg: str) -> None:
    """RFC 9964 §4: another context is another message."""
    signing_input, _ = taken_apart(alg)
    for context in (b"x", b"\0", alg.encode()):
        await assert_refused(alg, private_key(alg).sign(signing_input, context))


# Every two algorithms that one key could serve.
SWAPPED = [
    (alg, other)
    for alg in ALGORITHMS
    for other in ALGORITHMS
    if alg != other and algorithm(alg).kty == algorithm(other).kty in ("RSA", "OKP")
]


@pytest.mark.attack("V2", "V4")
@pytest.mark.rfc("8725-3.1-1", "9864-1")
@pytest.mark.parametrize(("alg", "other"), SWAPPED)
async def test_a_key_serves_one_algorithm_alone(alg: str, other: str) -> None:
    """Good under another algorithm of its type, by the holder of the key: refused all the same."""
    api = api_of(alg)
    await assert_invalid_token(api, TokenForge(private_key(alg), alg=other).token())
    assert api.reason == "unknown_key"
    # The header of the one and the signature of the other.
    crossed = forge(alg).token().rpartition(b".")[0]
    signature = verifier(other).sign(crossed, private_key(alg))
    if verifier(alg).verify(crossed, public_key_of(alg).key, signature):
        assert {alg, other} == {"EdDSA", "Ed25519"}  # two names of one scheme
    else:
        await assert_invalid_token(api, crossed + b"." + segment(signature))


@pytest.mark.attack("V4")
@pytest.mark.rfc("8725-3.1-1")
@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_header_of_another_algorithm_does_not_help(alg: str) -> None:
    """The kid of a key, and an algorithm that it is not for."""
    for other in ALGORITHMS:
        if other != alg:
            token = forge(alg).token(header={"alg": other})
            await assert_invalid_token(api_of(alg), token)


@pytest.mark.attack("V2")
@pytest.mark.rfc("8725-3.1-1")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_the_policy_does_not_list_is_refused(alg: str) -> None:
    """An algorithm of the table is accepted where it was chosen; RS256 is what nobody has to."""
    token, keys = forge(alg).token(), forge(alg).keys
    assert verify(token, keys, POLICY, now=NOW).subject == "svc-a"
    others = tuple(name for name in ALGORITHMS if name != alg)
    for algorithms in (others, *[("RS256",)] * (alg != "RS256")):
        policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, algorithms=algorithms)
        with pytest.raises(InvalidToken, match="wrong_algorithm"):
            verify(token, keys, policy, now=NOW)


@pytest.mark.attack("V1", "V3")
@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_neither_none_nor_a_mac_stands_in_for_any_algorithm(alg: str) -> None:
    """The key of no algorithm is a MAC key, and no header makes a signature unnecessary."""
    for name in ("none", "HS256", "HS512", "RS1", "ES256K", "Ed448", "HashML-DSA-44"):
        await assert_invalid_token(api_of(alg), forge(alg).token(header={"alg": name}))


@pytest.mark.attack("V8", "V11")
@pytest.mark.rfc("8037-2-1")
async def test_a_key_of_small_order_proves_nothing() -> None:
    """With it, the neutral point and S = 0 are a signature over anything, as OpenSSL has it."""
    neutral = bytes([1]) + bytes(31)
    signing_input = forge("Ed25519").token(header={"kid": "small"}).rpartition(b".")[0]
    key = Ed25519PublicKey.from_public_bytes(neutral)
    assert verifier("Ed25519").verify(signing_input, key, neutral + bytes(32))
    api = api_of("Ed25519")
    good = forge("Ed25519").jwk.members()
    small = good | {"kid": "small", "x": segment(neutral).decode()}
    api.issuer.body = dump({"keys": [small, good]})
    await assert_invalid_token(api, signing_input + b"." + segment(neutral + bytes(32)))
    assert api.reason == "unknown_key"


@pytest.mark.attack("V12")
@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_signature_has_one_spelling(alg: str) -> None:
    """Unused bits are zero, whatever the length of the signature leaves of them."""
    signing_input, signature = taken_apart(alg)
    text = segment(signature)
    for altered in (text + b"=", text[:-1], text + b"A", text.replace(b"-", b"+") + b"+"):
        await assert_invalid_token(api_of(alg), signing_input + b"." + altered)
    if len(text) % 4:
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        loose = text[:-1] + bytes([alphabet[alphabet.index(text[-1]) + 1]])
        await assert_invalid_token(api_of(alg), signing_input + b"." + loose)
