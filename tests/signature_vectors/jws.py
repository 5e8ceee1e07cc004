"""Whole JWS, as in Wycheproof's `json_web_signature_test.json`: a key set, and what it verifies."""

import hmac
import json
from collections.abc import Callable
from typing import Any

from tests.signature_vectors import ecdsa, ed25519, rsa
from tests.signature_vectors.suite import (
    KID,
    SOURCE,
    Json,
    base64url,
    claims,
    write_json,
)

_NOTES = {
    "Valid": "A JWS with which nothing is wrong.",
    "AlgorithmConfusion": "RFC 8725 section 3.1: one key, one algorithm, whatever a header says.",
    "AlgNone": "RFC 8725 section 3.2: no signature proves nothing.",
    "Encoding": "RFC 7515 section 2: base64url without padding, white space or other characters.",
    "Shape": "RFC 7515 section 7.1: three parts with two dots between.",
    "DuplicateMember": "RFC 7515 section 4, RFC 7519 section 4: names are unique.",
    "Json": "RFC 8259: one object in UTF-8, and nothing around it but white space.",
    "Critical": "RFC 7515 section 4.1.11, RFC 7797 section 7: what is critical must be understood.",
    "KeyUse": "RFC 7517 sections 4.2 and 4.3: a key that is for something else verifies nothing.",
    "KeyChoice": "RFC 7515 section 4.1.4: the key set decides; a header brings no key.",
    "WeakKey": "Keys that anybody can sign with, or that are too short.",
}
Sign = Callable[[bytes], bytes]


class _Group:
    def __init__(self, comment: str, *keys: Json) -> None:
        self.members: Json = {"type": "JsonWebSignature", "comment": comment}
        self.members |= {"public": {"keys": list(keys)}, "source": SOURCE, "tests": []}

    def add(self, comment: str, jws: bytes, flag: str, result: str = "invalid") -> None:
        text = jws.decode("latin-1")
        test = {"comment": comment, "flags": [flag], "jws": text, "result": result}
        self.members["tests"].append(test)


def header_of(name: str, /, **changed: Any) -> Json:
    """Give the header of an access token; None takes a member out."""
    members = {"alg": name, "typ": "at+jwt", "kid": KID} | changed
    return {name: value for name, value in members.items() if value is not None}


def compact(sign: Sign, header: bytes, payload: bytes = b"") -> bytes:
    """Sign these very bytes."""
    text = f"{base64url(header)}.{base64url(payload or write_json(claims()))}".encode()
    return text + b"." + base64url(sign(text)).encode()


def _ec_sign(message: bytes) -> bytes:
    return ecdsa.curve_of("ES256").raw(*ecdsa.sign("ES256", message, _EC))


_EC = ecdsa.secret_of("ES256", "JWS")


def suite() -> Json:
    """Make the suite."""
    curve = ecdsa.curve_of("ES256")
    key = ecdsa.jwk_of("ES256", curve.times(_EC, curve.base))
    groups = [_shapes(key), _headers(key), _payloads(key), _confusions(key), *_key_sets(key)]
    number, used = 0, set()
    for group in groups:
        for each in group.members["tests"]:
            number += 1
            each["tcId"] = number
            used |= set(each["flags"])
    return {
        "algorithm": "JWS",
        "schema": "json_web_signature_schema_v1.json",
        "numberOfTests": number,
        "header": ["Written by scripts/vectors, in the form of the files of Project Wycheproof."],
        "notes": {name: {"description": _NOTES[name]} for name in sorted(used)},
        "testGroups": [group.members for group in groups],
    }


def _shapes(key: Json) -> _Group:
    group = _Group("the parts and their encoding", key)
    good = compact(_ec_sign, write_json(header_of("ES256")))
    header, payload, signature = good.split(b".")
    group.add("as it should be", good, "Valid", "valid")
    for comment, jws, flag in (
        ("empty", b"", "Shape"),
        ("two dots", b"..", "Shape"),
        ("two parts", header + b"." + payload, "Shape"),
        ("an empty signature", header + b"." + payload + b".", "Shape"),
        ("a detached payload", header + b".." + signature, "Shape"),
        ("no header", b"." + payload + b"." + signature, "Shape"),
        ("four parts", good + b"." + signature, "Shape"),
        ("five parts, as a JWE", good + b"." + signature + b"." + signature, "Shape"),
        ("a dot behind it", good + b".", "Shape"),
        ("a dot before it", b"." + good, "Shape"),
        ("a line feed behind it", good + b"\n", "Encoding"),
        ("a space behind it", good + b" ", "Encoding"),
        ("a space before it", b" " + good, "Encoding"),
        (
            "a line break in the payload",
            header + b"." + payload[:9] + b"\r\n" + payload[9:] + b"." + signature,
            "Encoding",
        ),
        (
            "a tab in the header",
            header[:5] + b"\t" + header[5:] + b"." + payload + b"." + signature,
            "Encoding",
        ),
        ("a space in the signature", good[:-5] + b" " + good[-5:], "Encoding"),
        ("a zero octet in the signature", good[:-5] + b"\0" + good[-5:], "Encoding"),
        ("a percent escape", good.replace(b".", b"%2E"), "Encoding"),
        ("padding behind the signature", good + b"==", "Encoding"),
        (
            "a signature of base64 with + and /",
            header + b"." + payload + b"." + _plain(signature),
            "Encoding",
        ),
        ("a letter beyond ASCII", good[:-1] + b"\xc3\xa9", "Encoding"),
        (
            "the lowest bits set that are no part of it",
            good[:-1] + bytes([_neighbour(good[-1])]),
            "Encoding",
        ),
        ("the flattened JSON serialization", _flattened(header, payload, signature), "Shape"),
        ("the general JSON serialization", _general(header, payload, signature), "Shape"),
        ("in quotation marks", b'"' + good + b'"', "Encoding"),
        ("twice, with a comma", good + b"," + good, "Shape"),
    ):
        group.add(comment, jws, flag)
    return group


def _plain(signature: bytes) -> bytes:
    changed = signature.replace(b"-", b"+").replace(b"_", b"/")
    assert changed != signature
    return changed


def _neighbour(octet: int) -> int:
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(octet) ^ 1]


def _flattened(header: bytes, payload: bytes, signature: bytes) -> bytes:
    names = ("protected", "payload", "signature")
    parts = (header.decode(), payload.decode(), signature.decode())
    return write_json(dict(zip(names, parts, strict=True)))


def _general(header: bytes, payload: bytes, signature: bytes) -> bytes:
    one = {"protected": header.decode(), "signature": signature.decode()}
    return write_json({"payload": payload.decode(), "signatures": [one]})


# What is changed in a good header, by what is wrong with it then.
_CHANGED: dict[str, dict[str, Json]] = {
    "AlgorithmConfusion": {
        "alg is empty": {"alg": ""},
        "alg in lower case": {"alg": "es256"},
        "alg with a space behind it": {"alg": "ES256 "},
        "alg with a zero octet behind it": {"alg": "ES256\0"},
    },
    "KeyChoice": {
        "kid is a number": {"kid": 1},
        "kid is of no key": {"kid": "other"},
        "kid is a path": {"kid": "../../dev/null"},
        "kid in upper case": {"kid": KID.upper()},
        "with a URL of keys": {"jku": "https://as.example/jwks"},
        "with a certificate": {"x5c": ["MIIB"]},
        "with a URL of certificates": {"x5u": "https://as.example/c"},
    },
    "Critical": {
        "crit is empty": {"crit": []},
        "crit has exp": {"crit": ["exp"], "exp": 1},
        "crit has what is not there": {"crit": ["other"]},
        "crit is a string": {"crit": "exp"},
        "b64 is false, critical": {"crit": ["b64"], "b64": False},
        "b64 is false": {"b64": False},
        "compressed": {"zip": "DEF"},
        "nested": {"cty": "JWT"},
    },
    "Json": {
        "without alg": {"alg": None},
        "alg is a list": {"alg": ["ES256"]},
        "alg is a number": {"alg": 1},
    },
}


def _headers(key: Json) -> _Group:
    group = _Group("headers, each of them properly signed", key)
    good = json.dumps(header_of("ES256"))

    def add(comment: str, header: str | Json, flag: str, result: str = "invalid") -> None:
        text = header.encode() if isinstance(header, str) else write_json(header)
        group.add(comment, compact(_ec_sign, text), flag, result)

    add("with white space", json.dumps(header_of("ES256"), indent=1), "Json", "valid")
    add("with an escape in a name", good.replace('"alg"', '"\\u0061lg"'), "Json", "valid")
    add("with a member that is not known", header_of("ES256", other=1), "Valid", "valid")
    add("without kid", header_of("ES256", kid=None), "KeyChoice", "acceptable")
    own = {name: key[name] for name in ("kty", "crv", "x", "y")}
    add("with its own key", header_of("ES256", jwk=own), "KeyChoice")
    for flag, cases in _CHANGED.items():
        for comment, changed in cases.items():
            add(comment, header_of("ES256", **changed), flag)
    for comment, more in (
        ("alg twice, the same", '"alg": "ES256"'),
        ("alg twice, none first", '"alg": "none"'),
        ("alg twice, by an escape", '"\\u0061lg": "none"'),
        ("kid twice", '"kid": "other"'),
        ("a name twice further in", '"a": {"b": 1, "b": 2}'),
    ):
        add(f"with {comment}", good.replace("{", f"{{{more}, ", 1), "DuplicateMember")
    for comment, text in (
        ("a list", f"[{good}]"),
        ("a string", f'"{KID}"'),
        ("null", "null"),
        ("something behind it", good + " {}"),
        ("a comma at the end", good[:-1] + ",}"),
        ("a comment", good + "// text"),
        ("NaN as a value", good[:-1] + ', "a": NaN}'),
        ("in single quotes", good.replace('"', "'")),
    ):
        add(comment, text, "Json")
    for comment, octets in _encodings(good):
        group.add(comment, compact(_ec_sign, octets), "Json")
    return group


def _encodings(good: str) -> list[tuple[str, bytes]]:
    return [
        ("of white space alone", b" "),
        ("with a byte order mark", good.encode("utf-8-sig")),
        ("in UTF-16", good.encode("utf-16")),
        ("in UTF-32", good.encode("utf-32-le")),
        ("bad UTF-8", good.encode()[:-1] + b', "a": "\xff"}'),
        ("a zero octet behind it", good.encode() + b"\0"),
        ("UTF-8 that is too long", _overlong(good.encode())),
    ]


def _overlong(text: bytes) -> bytes:
    """Write the first letter of the first name in two octets."""
    return text[:2] + bytes([0xC0 | text[2] >> 6, 0x80 | text[2] & 0x3F]) + text[3:]


def _payloads(key: Json) -> _Group:
    group = _Group("claims, each of them properly signed", key)
    header, good = write_json(header_of("ES256")), json.dumps(claims())
    for comment, text, flag in (
        ("exp twice", good.replace("{", '{"exp": 9999999999, ', 1).encode(), "DuplicateMember"),
        (
            "sub twice, by an escape",
            good.replace("{", '{"\\u0073ub": "svc-b", ', 1).encode(),
            "DuplicateMember",
        ),
        (
            "a name twice further in",
            (good[:-1] + ', "a": {"b": 1, "b": 1}}').encode(),
            "DuplicateMember",
        ),
        ("a list", f"[{good}]".encode(), "Json"),
        ("something behind it", f"{good}{good}".encode(), "Json"),
        *((name, text, "Json") for name, text in _encodings(good)),
    ):
        group.add(comment, compact(_ec_sign, header, text), flag)
    return group


def _mac(key: bytes, digest: str = "sha256") -> Sign:
    return lambda message: hmac.digest(key, message, digest)


def _confusions(key: Json) -> _Group:
    """Another algorithm in the header, keyed by what everybody knows."""
    rsa_key, ed_key = rsa.make_key("first"), ed25519.EdKey("key")
    rsa_jwk = {**rsa_key.head("RS256", "")["publicKeyJwk"], "kid": "rsa"}
    ed_jwk = ed25519.jwk_of("Ed25519", ed_key.public, "okp")
    group = _Group("algorithm and key do not go together", key, rsa_jwk, ed_jwk)

    def rsa_sign(name: str, *, salted: bool = False) -> Sign:
        return rsa.Signer(rsa_key, name, salted=salted)

    def add(
        comment: str,
        sign: Sign,
        header: Json,
        flag: str = "AlgorithmConfusion",
        result: str = "invalid",
    ) -> None:
        group.add(comment, compact(sign, write_json(header)), flag, result)

    add("RS256 by its key", rsa_sign("sha256"), header_of("RS256", kid="rsa"), "Valid", "valid")
    add("Ed25519 by its key", ed_key.sign, header_of("Ed25519", kid="okp"), "Valid", "valid")
    add("PS256 by a key of RS256", rsa_sign("sha256", salted=True), header_of("PS256", kid="rsa"))
    add("RS384 by a key of RS256", rsa_sign("sha384"), header_of("RS384", kid="rsa"))
    add("RS1 by a key of RS256", rsa_sign("sha256"), header_of("RS1", kid="rsa"))
    add("EdDSA by a key of Ed25519", ed_key.sign, header_of("EdDSA", kid="okp"))
    add("ES256 in the header, signed by RSA", rsa_sign("sha256"), header_of("ES256"))
    add("RS256 in the header, signed by ECDSA", _ec_sign, header_of("RS256"))
    add("RS256 and the kid of another key", rsa_sign("sha256"), header_of("RS256"))
    add("ES256K", _ec_sign, header_of("ES256K"))
    for alg in ("none", "None", "NONE", "nOnE", "none "):
        unsigned = compact(lambda _: b"", write_json(header_of(alg)))
        group.add(f"alg {alg!r}, no signature", unsigned, "AlgNone")
        add(f"alg {alg!r}, with a signature", _ec_sign, header_of(alg), "AlgNone")
    for comment, secret in (
        ("the JWK", write_json(key)),
        ("x", key["x"].encode()),
        ("n", rsa_jwk["n"].encode()),
        ("the octets of n", rsa_key.n.to_bytes(rsa_key.octets)),
        ("the public key of Ed25519", ed_key.public),
        ("nothing", b""),
        ("the kid", KID.encode()),
    ):
        for alg, digest in (("HS256", "sha256"), ("HS512", "sha512")):
            for kid in (KID, "rsa", "okp"):
                add(
                    f"{alg} with {comment}, as {kid}", _mac(secret, digest), header_of(alg, kid=kid)
                )
    return group


def _key_sets(key: Json) -> list[_Group]:
    """The same good JWS, and key sets that make it worthless, or do not."""
    good = compact(_ec_sign, write_json(header_of("ES256")))
    other = ecdsa.jwk_of("ES256", ecdsa.curve_of("ES256").times(7, ecdsa.curve_of("ES256").base))
    groups = []
    for comment, keys, flag, result in (
        ("use is sig", [key | {"use": "sig"}], "KeyUse", "valid"),
        ("use is enc", [key | {"use": "enc"}], "KeyUse", "invalid"),
        ("key_ops has verify", [key | {"key_ops": ["verify"]}], "KeyUse", "valid"),
        ("key_ops is empty", [key | {"key_ops": []}], "KeyUse", "invalid"),
        ("key_ops has encrypt alone", [key | {"key_ops": ["encrypt"]}], "KeyUse", "invalid"),
        ("key_ops is a string", [key | {"key_ops": "verify"}], "KeyUse", "invalid"),
        (
            "use is enc, key_ops has verify",
            [key | {"use": "enc", "key_ops": ["verify"]}],
            "KeyUse",
            "invalid",
        ),
        ("alg is another one", [key | {"alg": "ES384"}], "AlgorithmConfusion", "invalid"),
        ("without alg", [{n: v for n, v in key.items() if n != "alg"}], "KeyChoice", "valid"),
        ("without kid", [{n: v for n, v in key.items() if n != "kid"}], "KeyChoice", "acceptable"),
        ("two keys of one kid", [other, key], "KeyChoice", "acceptable"),
        ("the key behind another one", [other | {"kid": "other"}, key], "KeyChoice", "valid"),
        ("another key alone", [other], "KeyChoice", "invalid"),
        (
            "with its private part",
            [key | {"d": base64url(_EC.to_bytes(32))}],
            "WeakKey",
            "acceptable",
        ),
        (
            "a point that is not on the curve",
            [key | {"y": base64url(bytes(32))}],
            "WeakKey",
            "invalid",
        ),
        ("of another curve by name", [key | {"crv": "P-384"}], "WeakKey", "invalid"),
        ("a symmetric key", [{"kty": "oct", "kid": KID, "k": key["x"]}], "WeakKey", "invalid"),
        ("no keys", [], "KeyChoice", "invalid"),
    ):
        group = _Group(f"key set: {comment}", *keys)
        group.add("the JWS", good, flag, result)
        groups.append(group)
    return groups
