"""ML-DSA: signatures of the library, and what can be wrong with the parts of one.

FIPS 204 sections 7.2 and 8; RFC 9964. The library randomises them, so they differ each time.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import mldsa

from tests.signature_vectors.suite import (
    KID,
    Group,
    Json,
    base64url,
    randomness,
    signing_input,
    write_suite,
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the parts of a signature are made of (FIPS 204 table 1)."""

    kind: type[mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey]
    challenge: int
    """Octets of the commitment hash."""
    omega: int
    """The most ones that a hint has."""
    rows: int


PARAMETERS = {
    "ML-DSA-44": Parameters(mldsa.MLDSA44PrivateKey, 32, 80, 4),
    "ML-DSA-65": Parameters(mldsa.MLDSA65PrivateKey, 48, 55, 6),
    "ML-DSA-87": Parameters(mldsa.MLDSA87PrivateKey, 64, 75, 8),
}
_NOTES = {
    "InvalidHint": "FIPS 204 algorithm 21: a hint has one encoding, or a signature has several.",
    "OutOfRange": "FIPS 204 algorithm 8, step 13: the norm of z is bounded.",
    "OtherContext": "RFC 9964 section 4: the context is empty; another one is another message.",
}


def suite(alg: str) -> Json:
    """Make the suite of a parameter set."""
    parameters = PARAMETERS[alg]
    key = _key(alg, "key")
    public = key.public_key().public_bytes_raw()
    head = {
        "type": "MlDsaVerify",
        "publicKey": public.hex(),
        "publicKeyJwk": {"kty": "AKP", "alg": alg, "kid": KID, "pub": base64url(public)},
    }
    group = Group(head, signing_input(alg))
    good = key.sign(group.message)
    group.add_damaged(good, key.sign(signing_input(alg, jti="token-2")))
    group.add("of another key", _key(alg, "another").sign(group.message), "WrongKey")
    for context in (b"\0", b"x", alg.encode(), bytes(255)):
        altered = key.sign(group.message, context)
        group.add(f"with a context of {len(context)} octets", altered, "OtherContext")
    _add_hints(group, good, parameters)
    start, end = parameters.challenge, len(good) - parameters.omega - parameters.rows
    for comment, octet in (("the largest", b"\0"), ("the smallest", b"\xff")):
        # A coefficient is written as its distance from the bound.
        altered = good[:start] + octet * 3 + good[start + 3 :]
        group.add(f"the first coefficients of z are {comment}", altered, "OutOfRange")
        altered = good[:start] + octet * (end - start) + good[end:]
        group.add(f"all coefficients of z are {comment}", altered, "OutOfRange")
    return write_suite("ML-DSA", "mldsa_verify_schema.json", [group], _NOTES)


def _key(
    alg: str, label: str
) -> mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey:
    return PARAMETERS[alg].kind.from_seed_bytes(randomness(f"{alg} {label}").randbytes(32))


def _add_hints(group: Group, good: bytes, parameters: Parameters) -> None:
    """Add other encodings of a hint: places of ones, row by row, then where each row ends."""
    start = len(good) - parameters.omega - parameters.rows
    places = good[start : start + parameters.omega]
    ends = good[-parameters.rows :]

    def add(comment: str, places: bytes, ends: bytes = ends) -> None:
        group.add(f"a hint {comment}", good[:start] + places + ends, "InvalidHint")

    used = ends[-1]
    begins = [0, *ends[:-1]]
    row = next(row for row in range(parameters.rows) if ends[row] - begins[row] >= 2)
    first = begins[row]
    exchanged = places[:first] + bytes([places[first + 1], places[first]]) + places[first + 2 :]
    add("whose places are not in order", exchanged)
    twice = places[:first] + bytes([places[first + 1]]) + places[first + 1 :]
    add("with a place twice", twice)
    if used < parameters.omega:
        add("with a place beyond its end", places[:-1] + b"\1")
        longer = ends[:-1] + bytes([used + 1])
        add("with one more one", places, longer)
    add("without its last one", places, ends[:-1] + bytes([used - 1]))
    add("with more ones than there may be", places, ends[:-1] + bytes([parameters.omega + 1]))
    add("whose rows end before they begin", places, bytes([used]) + bytes(parameters.rows - 1))
    add("of nothing", bytes(parameters.omega), bytes(parameters.rows))
