"""Targets: what is encoded, signed or compressed."""

import json
import zlib
from itertools import chain
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from fuzz.target import Target, demand
from issuer.client_auth.assertion import (
    JWT_ASSERTION,
    BadAssertion,
    Expected,
    check_client_assertion,
    claim_assertion,
    single_use,
)
from issuer.errors import Reason as IssuerReason
from issuer.federation import compare, rule_for_token
from issuer.registry.federated_identity import FederatedIdentity
from issuer.registry.schema import read
from keys.client_cert import (
    Chain,
    parse_client_chain,
    parse_pem,
    read_tls_extension,
    write_tls_extension,
)
from keys.dpop import InvalidProof, Proof, ProofKeys, check_proof
from keys.encoding import (
    decode_base64url,
    encode_base64url,
    inflate,
    inflate_zlib,
    parse_json_array,
    parse_json_object,
)
from keys.errors import InvalidJwkSet, InvalidJws, InvalidJwt
from keys.jwks import JwkSet, build_jwk_set, parse_jwk_set
from keys.jws import CompactJws, parse_compact, parse_header
from keys.jwt import JwtHeader, JwtProfile, ParsedJwt, check_header
from resource_api.access_token import AccessToken, verify
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, Reason
from resource_api.explanation import explain
from resource_api.status_list import InvalidStatusList, StatusList, parse_status_list
from watchword.testing.forge import ISSUER, NOW, RESOURCE, TokenForge, segment

FORGE = TokenForge(ec.derive_private_key(0x57A7C8, ec.SECP256R1()), alg="ES256")
"""One key for ever, so that kept inputs name it."""
URL = f"{ISSUER}/token"
LIST_URI = f"{ISSUER}/status-lists/1"
TOKEN = b"eyJ.eyJ.c2ln"
"""What stands for an access token, whose digest is in `ath` of kept proofs."""

_MAX_INFLATED = 65_536
_JSON = ("{", "}", "[", "]", '"', "\\u0000", "\\ud800", "null", "true", "1e999", "NaN", "-0", ",")
_CLAIMS = (
    *(f'"{name}":' for name in ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id")),
    *(f'"{name}":' for name in ("scope", "cnf", "jkt", "x5t#S256", "status", "status_list", "idx")),
    *(f'"{name}":' for name in ("uri", "act", "authorization_details", "htm", "htu", "ath")),
    *(f'"{name}":' for name in ("nonce", "bits", "lst", "ttl", "type", "roles", "groups")),
    *map(json.dumps, (ISSUER, RESOURCE, "svc-a", str(NOW), LIST_URI, URL, "POST")),
    *map(str, (NOW, NOW + 300, NOW - 61, 2**53, -1)),
)
_HEADER = (
    *(f'"{name}":' for name in ("alg", "typ", "kid", "jwk", "crit", "b64", "jku", "x5c", "zip")),
    *map(json.dumps, ("ES256", "at+jwt", "dpop+jwt", "application/at+jwt", FORGE.jwk.kid, "none")),
    *map(json.dumps, ("statuslist+jwt", "client-authentication+jwt", "JWT", "HS256", "RS256")),
    json.dumps(FORGE.jwk.members()),
)
_KEYS = (
    *(f'"{name}":' for name in ("keys", "kty", "use", "key_ops", "alg", "kid", "n", "e", "crv")),
    *(f'"{name}":' for name in ("x", "y", "d", "k", "pub", "priv", "x5c")),
    *map(json.dumps, ("RSA", "EC", "OKP", "AKP", "oct", "sig", "enc", "verify", "P-256", "AQAB")),
    *map(json.dumps, ("Ed25519", "ES256", "EdDSA", "RS256", "ML-DSA-44", "P-521", "Ed448")),
)

_POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, algorithms=("ES256",))
_PROFILE = JwtProfile(
    types=frozenset({None, "at+jwt"}), algorithms=frozenset({"ES256"}), max_bytes=8192
)
_PYJWT = jwt.PyJWS()


def signed(data: bytes) -> bytes:
    """Make a token of an input: sign a header and a payload on two lines, or take it as it is."""
    header, newline, payload = data.partition(b"\n")
    return FORGE.raw(header, payload) if newline else data


def _same_spelling(data: bytes, decoded: bytes) -> None:
    demand(encode_base64url(decoded).encode() == data, "one value has two spellings")


def _parse_json(data: bytes) -> dict[str, Any] | list[Any]:
    return parse_json_array(data) if data.lstrip()[:1] == b"[" else parse_json_object(data)


def _as_any_parser(data: bytes, value: object) -> None:
    demand(json.loads(data) == value, "the parser of Python reads another value")
    again = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    demand(_parse_json(again) == value, "written and read again it is another value")


def _parse_header(data: bytes) -> JwtHeader:
    return check_header(parse_header(segment(data)), _PROFILE)


def _plain_header(data: bytes, header: JwtHeader) -> None:
    found = json.loads(data)
    demand((found["alg"], found.get("kid")) == header, "the header says something else")


def _as_pyjwt(data: bytes, jws: CompactJws) -> None:
    payload, signing_input, header, signature = _PYJWT._load(data)
    demand(
        (payload, signing_input, header, signature)
        == (jws.payload, jws.signing_input, jws.header, jws.signature),
        "PyJWT reads something else",
    )


def _verify(data: bytes) -> AccessToken:
    token = signed(data)
    told = explain(token, FORGE.keys, _POLICY, now=NOW)
    try:
        verified = verify(token, FORGE.keys, _POLICY, now=NOW)
    except InvalidToken as refusal:
        # Whether a bound token is shown by its holder is not to be seen in the token.
        if refusal.reason is not Reason.UNCHECKED_BINDING:
            demand(told.reason == refusal.reason, "the explanation gives another reason")
        raise
    demand(told.accepted, "the explanation has a token refused that is accepted")
    return verified


def _ours_alone(data: bytes, token: AccessToken) -> None:
    claims = jwt.decode(
        signed(data).decode(),
        FORGE.private_key.public_key(),  # type: ignore[arg-type]
        algorithms=["ES256"],
        issuer=ISSUER,
        audience=RESOURCE,
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    demand(claims == token.claims, "PyJWT reads other claims")
    demand(token.subject and token.issuer == ISSUER, "the token names nobody")


def _parse_set(data: bytes) -> JwkSet:
    return parse_jwk_set(data)


def _same_set(data: bytes, keys: JwkSet) -> None:
    document = build_jwk_set(keys.keys)
    again = parse_jwk_set(json.dumps(document).encode(), max_bytes=2**20)
    demand(build_jwk_set(again.keys) == document, "written and read again they are other keys")
    private = {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}
    demand(not private & set(chain(*document["keys"])), "a private member would be published")


def _check_proof(data: bytes) -> Proof:
    token = TOKEN if b'"ath"' in data else None
    return check_proof([signed(data)], method="POST", url=URL, now=NOW, token=token)


def _same_proof(data: bytes, proof: Proof) -> None:
    memo, token = ProofKeys(), TOKEN if b'"ath"' in data else None
    for _ in range(2):
        again = check_proof([signed(data)], method="POST", url=URL, now=NOW, token=token, memo=memo)
        demand(again == proof, "with the key remembered the proof says something else")


def _check_assertion(data: bytes) -> ParsedJwt:
    claimed = claim_assertion(JWT_ASSERTION, signed(data).decode("latin-1"), None)
    if not claimed.is_own:
        raise BadAssertion(IssuerReason.ASSERTION_IDENTITY)
    parsed = check_client_assertion(claimed, Expected(ISSUER, NOW), algorithms=("ES256",))
    demand(single_use(claimed).until > NOW, "what counts once is forgotten at once")
    return parsed


def _parse_list(data: bytes) -> StatusList:
    return parse_status_list(signed(data), FORGE.keys, uri=LIST_URI, now=NOW)


def _reads_to_its_end(data: bytes, statuses: StatusList) -> None:
    demand(statuses.status(0) is not None or not statuses.size, "a list has no first status")
    demand(statuses.status(statuses.size * 8) is None, "a status is beyond the end")
    demand(1 <= statuses.ttl <= 3600, "the list may be kept for ever")


def _inflate(data: bytes) -> bytes:
    unfold = inflate if data[:1] == b"\x1f" else inflate_zlib
    return unfold(data, maximum=_MAX_INFLATED)


def _as_zlib(data: bytes, content: bytes) -> None:
    form = 16 + zlib.MAX_WBITS if data[:1] == b"\x1f" else zlib.MAX_WBITS
    demand(zlib.decompress(data, form) == content, "zlib reads something else")
    demand(len(content) <= _MAX_INFLATED, "more came out than may")


def _rule(data: bytes) -> tuple[dict[str, Any], FederatedIdentity]:
    claims = parse_json_object(data)
    return claims, read(FederatedIdentity, rule_for_token(claims, ISSUER))


def _fits(data: bytes, found: tuple[dict[str, Any], FederatedIdentity]) -> None:
    claims, identity = found
    compared = compare([identity], claims, ISSUER)
    demand(not compared.mismatches, "the rule that was written for a token does not fit it")
    others = compare([identity], {**claims, "iss": "https://other.example", "sub": "x"}, ISSUER)
    demand(all(str(each).isascii() for each in others.mismatches), "a mismatch cannot be shown")


def _parse_certificates(data: bytes) -> Chain:
    own, *others = data.split(b"\n")
    return parse_client_chain([own] if own else [], others)


def _same_certificates(data: bytes, certificates: Chain) -> None:
    again = read_tls_extension({"extensions": {"tls": write_tls_extension(certificates)}})
    demand(again == certificates, "written as PEM and read again they are other certificates")


def _parse_pem(data: bytes) -> bytes:
    return parse_pem(data.decode("latin-1"))


TARGETS = {
    "base64url": Target(decode_base64url, (ValueError,), _same_spelling, length=256),
    "json": Target(_parse_json, (ValueError,), _as_any_parser, words=_JSON),
    "jose-header": Target(_parse_header, (InvalidJws, InvalidJwt), _plain_header, words=_HEADER),
    "jws": Target(parse_compact, (InvalidJws,), _as_pyjwt, words=(".", "eyJhbGciOiJFUzI1NiJ9")),
    "token": Target(_verify, (InvalidToken,), _ours_alone, words=_HEADER + _CLAIMS),
    "jwk-set": Target(_parse_set, (InvalidJwkSet,), _same_set, words=_KEYS, length=4096),
    "dpop-proof": Target(_check_proof, (InvalidProof,), _same_proof, words=_HEADER + _CLAIMS),
    "client-assertion": Target(_check_assertion, (BadAssertion,), words=_HEADER + _CLAIMS),
    "workload-token": Target(_rule, (ValueError,), _fits, words=_CLAIMS),
    # A list may unfold into 4 MB, and is held as such.
    "status-list": Target(
        _parse_list, (InvalidStatusList,), _reads_to_its_end, _HEADER + _CLAIMS, length=8192
    ),
    "inflate": Target(_inflate, (ValueError,), _as_zlib, words=("\x1f\x8b", "\x78\x9c")),
    "client-cert": Target(_parse_certificates, (ValueError,), _same_certificates, words=(":MII",)),
    "pem": Target(_parse_pem, (ValueError,), words=("-----BEGIN CERTIFICATE-----", "-----END")),
}
