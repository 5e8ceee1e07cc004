"""Check DPoP proofs: JWTs by which a sender proves possession of the key that is in them.

Pure. RFC 9449 §4.2 and §4.3. Whether a nonce is needed and current (`keys.dpop_nonce`), whether the
proof was seen before, and which key a token is bound to is for the caller to decide.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

from keys.encoding import decode_base64url, encode_base64url, parse_json_object
from keys.errors import Diagnosis, InvalidJwk, InvalidJws, InvalidJwt, KeysError
from keys.identifiers import DEFAULT_PORTS, split_server_url
from keys.jwk import PUBLISHED_TEST_KEYS, PublicJwk, parse_public_jwk, thumbprint
from keys.jws import parse_header, split_compact
from keys.jwt import (
    FORBIDDEN_HEADERS,
    JwtHeader,
    ParsedJwt,
    check_identity,
    read_date,
    verify_signature,
)

DPOP_TYPE = "dpop+jwt"

PROOF_ALGORITHMS = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256")
"""The accepted algorithms unless a caller names others; metadata and challenges list them."""

MAX_PROOF_BYTES = 4096
"""The longest proof that is looked at: one with an RSA key of 4096 bits has about 2,500 bytes."""

PROOF_WINDOW = 60
"""Seconds that `iat` may differ from our clock, before or after (RFC 9449 §11.1)."""

_REFUSED_HEADERS = FORBIDDEN_HEADERS - {"jwk"}
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")  # RFC 3986 §2.3


class ProofFault(StrEnum):
    """Why a DPoP proof is refused; values are stable, logs and metric labels hold them."""

    MISSING = "proof_missing"
    SEVERAL = "proof_several"
    TOO_LONG = "proof_too_long"
    MALFORMED = "proof_malformed"
    TYPE = "proof_type"
    ALGORITHM = "proof_algorithm"
    KEY = "proof_key"
    SIGNATURE = "proof_signature"
    CLAIMS = "proof_claims"
    METHOD = "proof_method"
    URL = "proof_url"
    TIME = "proof_time"
    TOKEN = "proof_token"  # noqa: S105 - a reason, not a secret
    NONCE = "proof_nonce"
    REPLAYED = "proof_replayed"


PROOF_DIAGNOSES: Mapping[ProofFault, Diagnosis] = {
    ProofFault.MISSING: Diagnosis(
        "There is no `DPoP` header.", "Send a DPoP proof with the request."
    ),
    ProofFault.SEVERAL: Diagnosis(
        "There is more than one `DPoP` header.", "Send one DPoP proof with each request."
    ),
    ProofFault.TOO_LONG: Diagnosis(
        f"The DPoP proof has more than {MAX_PROOF_BYTES} bytes.",
        "Use an ES256 or Ed25519 key, and only the claims of RFC 9449.",
    ),
    ProofFault.MALFORMED: Diagnosis(
        "The DPoP proof is not three base64url parts with strict JSON in the first two, or its "
        "header names keys elsewhere, certificates, compression or an extension.",
        "Have the library of the client make the proof.",
    ),
    ProofFault.TYPE: Diagnosis(
        "`typ` of the DPoP proof is not `dpop+jwt`: it is another kind of JWT.",
        "Send a DPoP proof in the `DPoP` header, and the token in `Authorization`.",
    ),
    ProofFault.ALGORITHM: Diagnosis(
        "The DPoP proof is signed with an algorithm that is not accepted here.",
        f"Use one of {', '.join(PROOF_ALGORITHMS)}; HMAC and `none` are never accepted.",
    ),
    ProofFault.KEY: Diagnosis(
        "`jwk` of the DPoP proof is missing, private, weak, published as an example, or does not "
        "fit `alg`.",
        "Generate a new key pair, and put its public key into the proof.",
    ),
    ProofFault.SIGNATURE: Diagnosis(
        "The DPoP proof was not signed with the key in its `jwk`.",
        "Sign with the private key of that pair.",
    ),
    ProofFault.CLAIMS: Diagnosis(
        "`jti`, `htm`, `htu` or `iat` of the DPoP proof is missing, or a claim has another type.",
        "Write the claims of RFC 9449 §4.2, with a `jti` of at most 255 characters.",
    ),
    ProofFault.METHOD: Diagnosis(
        "`htm` of the DPoP proof is not the method of the request.",
        "Make a new proof for each request, with its method in upper case.",
    ),
    ProofFault.URL: Diagnosis(
        "`htu` of the DPoP proof is not the URL of the request.",
        "Use the public URL in the proof; behind a proxy, the server has to know its public URL.",
    ),
    ProofFault.TIME: Diagnosis(
        f"`iat` of the DPoP proof is more than {PROOF_WINDOW} seconds ago or ahead.",
        "Make a new proof for each request; set the clock of the client.",
    ),
    ProofFault.TOKEN: Diagnosis(
        "`ath` of the DPoP proof is missing, or is of another access token.",
        "Make a new proof for each token: `ath` is the SHA-256 digest of its text, in base64url.",
    ),
    ProofFault.NONCE: Diagnosis(
        "`nonce` of the DPoP proof is missing, too old, or from another server.",
        "Send a new proof with the value of `DPoP-Nonce` of the answer; libraries do so.",
    ),
    ProofFault.REPLAYED: Diagnosis(
        "The DPoP proof was used before.",
        "Make a new proof, with a new `jti`, for each request, a repeated one included.",
    ),
}
"""Cause and remedy of every fault."""


class InvalidProof(KeysError):
    """A DPoP proof that proves nothing; ``fault`` says why."""

    def __init__(self, fault: ProofFault) -> None:
        """Refuse for this reason."""
        super().__init__(fault)
        self.fault = fault


class Proof(NamedTuple):
    """A proof that was checked.

    Args:
        jkt: the thumbprint of its key (RFC 7638), which `cnf.jkt` of a bound token has.
        jti: its id, to be claimed once for its key and the URL.
        issued_at: seconds since the epoch.
        nonce: the server's nonce in it; None without one.
        ath: the digest of the access token in it; None without one.
    """

    jkt: str
    jti: str
    issued_at: float
    nonce: str | None
    ath: str | None


class ProofKeys:
    """Remember the keys of good proofs by their exact header segment.

    A sender uses its key again and again: a look-up replaces parsing, judging and digesting it.
    Only the keys of verified signatures enter, each with its latest header: else one sender could
    push out the keys of others, by other keys or other headers. The oldest leaves a full memo.
    """

    __slots__ = ("_bound", "_keys", "_segments", "get")

    def __init__(self, bound: int = 1024) -> None:
        """Remember at most this many keys, of about 1 KB each."""
        self._bound = bound
        self._keys: dict[bytes, PublicJwk] = {}
        self._segments: dict[str, bytes] = {}
        self.get = self._keys.get
        """Give the key of a header segment seen before, or None."""

    def remember(self, segment: bytes, key: PublicJwk) -> None:
        """Keep the key of a proof whose signature was verified with it."""
        earlier = self._segments.pop(key.kid, None)
        if earlier is None and len(self._keys) >= self._bound:
            earlier = self._segments.pop(next(iter(self._segments)))
        if earlier is not None:
            del self._keys[earlier]
        self._keys[segment] = key
        self._segments[key.kid] = segment


def check_proof(
    proofs: Sequence[bytes],
    *,
    method: str,
    url: str,
    now: float,
    algorithms: Collection[str] = PROOF_ALGORITHMS,
    token: bytes | None = None,
    jkt: str | None = None,
    memo: ProofKeys | None = None,
) -> Proof:
    """Check the proof of a request by RFC 9449 §4.3, but for what the caller has to decide.

    Args:
        proofs: the values of all `DPoP` header fields.
        method: of the request.
        url: the public URL of the request; its query and fragment do not matter.
        now: seconds since the epoch.
        algorithms: the accepted ones, all of `keys.key_types`.
        token: the access token that comes with it, as sent; None at a token endpoint.
        jkt: of the key that the caller wants and compares; the memo takes no other.
        memo: keys of earlier proofs.

    Raises:
        InvalidProof: there is not exactly one proof, or a check fails.
    """
    if len(proofs) != 1:
        raise InvalidProof(ProofFault.SEVERAL if proofs else ProofFault.MISSING)
    raw = proofs[0].strip(b" \t")  # around a field value (RFC 9110 §5.5)
    if len(raw) > MAX_PROOF_BYTES:
        raise InvalidProof(ProofFault.TOO_LONG)
    try:
        segment, payload, encoded_signature, signing_input = split_compact(raw)
        known = None if memo is None else memo.get(segment)
        members = parse_header(segment) if known is None else {}
        claims = parse_json_object(decode_base64url(payload))
        signature = decode_base64url(encoded_signature)
    except (InvalidJws, ValueError):
        raise InvalidProof(ProofFault.MALFORMED) from None
    if known is None:
        _check_header(members)
    alg = members["alg"] if known is None else known.alg
    # RFC 8725 §3.1: an allow-list, exact and case-sensitive.
    if alg not in algorithms:
        raise InvalidProof(ProofFault.ALGORITHM)
    # What costs least goes first: the order is free, and nothing is believed before the signature.
    proof = _read_claims(claims)
    _check_claims(claims, method, url, now)
    if token is not None and proof.ath != encode_base64url(sha256(token).digest()):
        raise InvalidProof(ProofFault.TOKEN)
    key = known or _parse_key(members["jwk"], alg)
    try:
        verify_signature(
            ParsedJwt(JwtHeader(alg, key.kid), claims, signing_input, signature, segment), key
        )
    except InvalidJwt:
        raise InvalidProof(ProofFault.SIGNATURE) from None
    if memo is not None and known is None and jkt in (None, key.kid):
        memo.remember(segment, key)
    return Proof(key.kid, *proof[1:])


def _check_header(members: Mapping[str, Any]) -> None:
    found = members.get("typ")
    # A media type, whose `application/` may be left out (RFC 7515 §4.1.9).
    if not isinstance(found, str) or found.lower().removeprefix("application/") != DPOP_TYPE:
        raise InvalidProof(ProofFault.TYPE)
    if _REFUSED_HEADERS & members.keys():
        raise InvalidProof(ProofFault.MALFORMED)
    if not isinstance(members.get("jwk"), dict):
        raise InvalidProof(ProofFault.KEY)


def _parse_key(jwk: Mapping[str, object], alg: str) -> PublicJwk:
    """Read the key of a proof; its `kid` becomes the thumbprint, whatever the sender calls it."""
    # RFC 7517 §4.4: a key that names an algorithm is for no other.
    if jwk.get("alg", alg) != alg:
        raise InvalidProof(ProofFault.KEY)
    try:
        jkt = thumbprint(jwk)
        key = parse_public_jwk({**jwk, "kid": jkt, "alg": alg})
    except InvalidJwk:
        raise InvalidProof(ProofFault.KEY) from None
    if jkt in PUBLISHED_TEST_KEYS:  # everyone can prove possession of it
        raise InvalidProof(ProofFault.KEY)
    return key


def _read_claims(claims: Mapping[str, Any]) -> Proof:
    """Read the claims of RFC 9449 §4.2; further ones do not matter."""
    try:
        check_identity(claims, "jti")
        issued_at = read_date(claims.get("iat"))
    except InvalidJwt:
        raise InvalidProof(ProofFault.CLAIMS) from None
    for name in ("htm", "htu"):
        if not isinstance(claims.get(name), str):
            raise InvalidProof(ProofFault.CLAIMS)
    nonce, ath = claims.get("nonce"), claims.get("ath")
    if not isinstance(nonce, str | None) or not isinstance(ath, str | None):
        raise InvalidProof(ProofFault.CLAIMS)
    return Proof("", claims["jti"], issued_at, nonce, ath)


def _check_claims(claims: Mapping[str, Any], method: str, url: str, now: float) -> None:
    if claims["htm"] != method:  # RFC 9110 §9.1: case-sensitive
        raise InvalidProof(ProofFault.METHOD)
    if claims["htu"] != url and not _same_target(claims["htu"], url):
        raise InvalidProof(ProofFault.URL)
    if abs(now - claims["iat"]) > PROOF_WINDOW:
        raise InvalidProof(ProofFault.TIME)


def _same_target(claimed: str, url: str) -> bool:
    """Compare two URLs without query and fragment, both normalised (RFC 9449 §4.3)."""
    try:
        return _normalise(claimed) == _normalise(url)
    except ValueError:
        return False


def _normalise(url: str) -> tuple[str, str, int | None, str]:
    """Normalise by syntax and scheme (RFC 3986 §6.2.2, §6.2.3).

    Raises:
        ValueError: it is no absolute http or https URL.
    """
    target = split_server_url(re.split(r"[?#]", url, maxsplit=1)[0])
    port = target.port or DEFAULT_PORTS[target.scheme]
    return target.scheme, target.host, port, _normalise_path(target.path)


def _normalise_path(path: str) -> str:
    path = _ESCAPE.sub(_normalise_escape, path)
    segments: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == ".." and segments:
            segments.pop()
        if segment not in (".", ".."):
            segments.append(segment)
    # RFC 3986 §5.2.4: a dot segment at the end leaves its slash.
    if path.endswith(("/.", "/..")):
        segments.append("")
    return "/" + "/".join(segments)


def _normalise_escape(found: re.Match[str]) -> str:
    character = chr(int(found[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else found[0].upper()
