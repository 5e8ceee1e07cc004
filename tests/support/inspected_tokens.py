"""Tokens of every kind, each with one thing changed: what the inspector is shown to judge."""

import json
from collections.abc import Mapping
from typing import Any

from keys.encoding import encode_base64url
from keys.jwks import build_jwk_set
from keys.key_types import ALGORITHMS
from tests.support.keys import rsa_key
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, TokenForge, dump, segment
from watchword.testing.status_lists import pack, status

FORGE = TokenForge()
OTHER = TokenForge(rsa_key(1))
GOOD = FORGE.token()
HEADER, PAYLOAD, SIGNATURE = FORGE.parts()
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
KEYS = json.dumps(build_jwk_set([FORGE.jwk, *(each.jwk for each in VERIFIED.values())]))
