"""Unit tests of `issuer.registry.auth_methods`: what a client may be known by."""

from typing import Any

import pytest
from pydantic import ValidationError

from issuer.registry.auth_methods import (
    ALL_MATERIAL,
    TLS_SUBJECTS,
    AuthMethod,
    check_jwks,
    check_jwks_uri,
    check_material,
)
from issuer.registry.client import ClientRegistration
from issuer.registry.errors import InvalidValue
from issuer.registry.schema import members_of
from keys.encoding import encode_base64url
from keys.jwk import PRIVATE_MEMBERS, PUBLISHED_TEST_KEYS
from tests.support.keys import public_rsa_jwk, published_keys, weak_rsa_key

URI = "https://keys.example/jwks"
SECRET_METHODS = (AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST)


def jwk(n: int = 0, /, **changes: object) -> dict[str, object]:
    """Make a public JWK, changed as named; None leaves a member out."""
    members = {**public_rsa_jwk(n).members(), **changes}
    return {name: value for name, value in members.items() if value is not None}


def jwks(*keys: object) -> dict[str, Any]:
    """Make a set of the keys, or of one good key."""
    return {"keys": list(keys) or [jwk()]}


SUBJECT = "tls_client_auth_san_dns"
KINDS = {
    "nothing": (),
    "jwks": ("jwks",),
    "jwks_uri": ("jwks_uri",),
    "jwks and jwks_uri": ("jwks", "jwks_uri"),
    "subject": (SUBJECT,),
    "two subjects": (SUBJECT, "tls_client_auth_san_uri"),
    "subject and jwks": ("jwks", SUBJECT),
    "subject and jwks_uri": ("jwks_uri", SUBJECT),
    "identities": ("federated_identities",),
    "identities and jwks": ("federated_identities", "jwks"),
}
FITTING = {
    AuthMethod.CLIENT_SECRET_BASIC: {"nothing"},
    AuthMethod.CLIENT_SECRET_POST: {"nothing"},
    AuthMethod.PRIVATE_KEY_JWT: {"jwks", "jwks_uri"},
    AuthMethod.CLIENT_SECRET_JWT: {"nothing"},
    AuthMethod.TLS_CLIENT_AUTH: {"subject"},
    AuthMethod.SELF_SIGNED_TLS_CLIENT_AUTH: {"jwks", "jwks_uri"},
    AuthMethod.FEDERATED: {"identities"},
}


@pytest.mark.parametrize("method", AuthMethod)
@pytest.mark.parametrize("kind", KINDS)
def test_each_method_takes_its_own_material_and_no_other(method, kind):
    """RFC 7591 §2, RFC 8705 §2: keys for what is signed, one subject for a CA's certificate."""
    if kind in FITTING[method]:
        check_material(method, KINDS[kind])
    else:
        with pytest.raises(InvalidValue, match=f"^{method} "):
            check_material(method, KINDS[kind])


@pytest.mark.parametrize("method", AuthMethod)
def test_a_method_knows_what_it_is_proven_by(method):
    """A secret, sent or signed with, or the material that the tests above ask for."""
    assert method.sends_secret is (method in SECRET_METHODS)
    assert method.uses_secret is (FITTING[method] == {"nothing"})


def test_material_is_named_as_registered():
    """RFC 7591 §2 and RFC 8705 §2.1.2 give the names; a registration has a member for each."""
    assert set(ALL_MATERIAL) == {"jwks", "jwks_uri", *TLS_SUBJECTS, "federated_identities"}
    assert set(ALL_MATERIAL) <= set(members_of(ClientRegistration))


def named(name: str, value: str) -> ClientRegistration:
    """Make a client that is known by the name of its certificate."""
    method = AuthMethod.TLS_CLIENT_AUTH
    members: dict[str, Any] = {"token_endpoint_auth_method": method, name: value}
    return ClientRegistration(client_id="till", **members)


@pytest.mark.parametrize("name", TLS_SUBJECTS)
@pytest.mark.parametrize("length", [1, 1024])
def test_a_subject_is_some_printable_text(name, length):
    """RFC 8705 §2.1.2: the five ways to name a certificate."""
    value = "2001:db8::1" if name.endswith("_ip") else "x" * length
    if name.endswith("_dn"):
        value = "CN=" + value[:64]  # RFC 5280 appendix A.1, ub-common-name
    assert getattr(named(name, value), name) == value


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("tls_client_auth_subject_dn", "", "1 to 1024 printable"),
        ("tls_client_auth_subject_dn", "x" * 1025, "1 to 1024 printable"),
        ("tls_client_auth_san_dns", "a\nb", "1 to 1024 printable"),
        ("tls_client_auth_san_email", "a\x1b[31m", "1 to 1024 printable"),
        ("tls_client_auth_san_ip", "till.example", "is not an IP address"),
        ("tls_client_auth_san_ip", "10.0.0.256", "is not an IP address"),
        ("tls_client_auth_san_ip", "010.0.0.1", "is not an IP address"),
        ("tls_client_auth_subject_dn", "till", "no distinguished name"),
        ("tls_client_auth_subject_dn", "/CN=till/C=DE", "no distinguished name"),
        ("tls_client_auth_subject_dn", "CN = till", "no distinguished name"),
        ("tls_client_auth_subject_dn", "emailAddress=a@b.example", "no distinguished name"),
        ("tls_client_auth_san_rid", "1.2.3", "Unexpected keyword argument"),
    ],
)
def test_other_subjects_are_refused(name, value, words):
    """What no certificate can match, or no terminal can show, is not registered."""
    with pytest.raises(ValidationError, match=words):
        named(name, value)


@pytest.mark.parametrize("address", ["192.0.2.7", "::1", "2001:db8::1"])
def test_an_ip_subject_is_an_address_of_either_version(address):
    """RFC 8705 §2.1.2: `tls_client_auth_san_ip` is an IPv4 or IPv6 address."""
    assert named("tls_client_auth_san_ip", address).tls_client_auth_san_ip == address


def test_the_keys_of_a_key_method_are_looked_at():
    """A method that fits does not excuse keys that do not."""
    method = AuthMethod.PRIVATE_KEY_JWT
    for members, words in (
        ({"jwks": {"keys": []}}, "1 to 10 keys"),
        ({"jwks_uri": "http://keys.example/"}, "must be https"),
    ):
        with pytest.raises(ValidationError, match=words):
            ClientRegistration(client_id="till", token_endpoint_auth_method=method, **members)


@pytest.mark.parametrize(
    "document",
    [{}, {"keys": None}, {"keys": {}}, {"keys": "x"}, {"keys": []}, {"keys": [jwk()] * 11}],
)
def test_a_set_has_one_to_ten_keys(document):
    """RFC 7517 §5: `keys` is an array; a client needs few."""
    with pytest.raises(InvalidValue, match="1 to 10 keys in `keys`"):
        check_jwks(document)


def test_ten_keys_of_different_names_are_a_set():
    """The limit itself is allowed; so are members that nobody knows (RFC 7517 §5)."""
    check_jwks({**jwks(*(jwk(kid=f"k{n}") for n in range(10))), "note": "ours"})


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("x" * 65_536, "more than 65536 bytes"),
        ("é" * 32_768, "more than 65536 bytes"),
        (float("nan"), "is not JSON"),
        ("\ud800", "is not JSON"),
    ],
    ids=["long", "long in UTF-8", "no number", "half a character"],
)
def test_a_set_is_json_of_bounded_size(note, words):
    """It is kept and shown whole, so it must be JSON, and not too much of it."""
    with pytest.raises(InvalidValue, match=words):
        check_jwks({**jwks(), "note": note})


@pytest.mark.parametrize("name", sorted(PRIVATE_MEMBERS))
def test_a_private_key_is_refused_and_not_repeated(name):
    """RFC 7517 §9.2: a private key in the wrong hands is over; the error does not spread it."""
    with pytest.raises(InvalidValue, match="key 2 of jwks has private members") as caught:
        check_jwks(jwks(jwk(), jwk(1, **{name: "c2VjcmV0"})))
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("x", "key 1 of jwks is not an object"),
        (None, "key 1 of jwks is not an object"),
        (jwk(kid=None), "no kid"),
        (jwk(kid=""), "no kid"),
        (jwk(kid=7), "no kid"),
        (jwk(use="enc"), "use is not sig"),
        (jwk(key_ops=["encrypt"]), "key_ops"),
        (jwk(alg="HS256"), "alg is not one of ours"),
        (jwk(alg="none"), "alg is not one of ours"),
        (jwk(kty="EC"), "kty"),
        (jwk(n=None), "member n"),
        (jwk(n="AQAB"), "not an RSA key"),
    ],
)
def test_every_key_must_be_good(key, words):
    """Nobody wants to register a key that is passed over in use (RFC 7517 §4, RFC 7518 §3.3)."""
    with pytest.raises(InvalidValue, match=words):
        check_jwks(jwks(key))


def test_a_weak_key_is_refused():
    """RFC 7518 §3.3: 2048 bits."""
    modulus = weak_rsa_key().public_key().public_numbers().n
    weak = jwk(n=encode_base64url(modulus.to_bytes(128, "big")))
    with pytest.raises(InvalidValue, match="key 1 of jwks cannot be used: key of 1024 bits"):
        check_jwks(jwks(weak))


def test_two_keys_of_one_name_are_refused():
    """RFC 7517 §4.5: kids within a set are distinct; the second is the one that is told."""
    with pytest.raises(InvalidValue, match="key 3 of jwks has the kid of another"):
        check_jwks(jwks(jwk(0, kid="a"), jwk(1, kid="b"), jwk(2, kid="a")))


@pytest.mark.parametrize("kid", PUBLISHED_TEST_KEYS)
def test_a_key_printed_in_an_rfc_is_refused(kid):
    """Everybody has its private half; a name of its own does not hide it."""
    key = {**published_keys()[kid].members(), "kid": "mine"}
    with pytest.raises(InvalidValue, match="key 2 of jwks is printed in an RFC"):
        check_jwks(jwks(jwk(), key))


def test_keys_are_taken_as_a_client_has_them():
    """`alg`, `use` and `key_ops` are optional, and the kid is the client's own (RFC 7517 §4)."""
    check_jwks(jwks(jwk(kid="2027-01", alg=None, use=None)))


@pytest.mark.parametrize(
    "uri",
    [
        URI,
        "HTTPS://Keys.Example/jwks",
        "https://keys.example",
        "https://keys.example:443/jwks?tenant=1",
        "https://a.b-c.d_e.example/",
        "https://xn--e1afmkfd.xn--p1ai/jwks",
        "https://10.0.0.1.example/",
        "https://local.example/",
        "https://internal.example/",
        "https://notlocal.mylocal/",
        URI + "?" + "x" * (2047 - len(URI)),
    ],
)
def test_https_to_a_public_name_may_hold_keys(uri):
    """RFC 7591 §2: `jwks_uri` is where the client publishes its keys."""
    check_jwks_uri(uri)


@pytest.mark.rfc("8725-3.10-1")
@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "keys.localhost",
        "keys",
        "keys.local",
        "KEYS.LOCAL",
        "keys.local.",
        "keys.internal",
        "metadata.google.internal",
        "home.arpa",
        "keys.home.arpa",
        "keys.example.",
        "keys..example",
        ".example.com",
        f"{'x' * 64}.example",
        ("x" * 63 + ".") * 4 + "example",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "127.0.0.0x1",
        "0177.0.0.1",
        "017700000001",
        "0.0.0.0",
        "0",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "203.0.113.7",
        "203.0.113.7.",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[fe80::1%25eth0]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[2001:db8::1]",
        "[64:ff9b::7f00:1]",
        "[v1.keys]",
        "127%2e0.0.1",
        "keys%00.example",
        "keys.example%2f",
        "keys.example,evil.example",
        "keys.example;evil.example",
        "*.example",
    ],
)
def test_no_other_host_may(host):
    """RFC 8725 §3.10: our own network is not fetched from on a stranger's word."""
    with pytest.raises(InvalidValue, match="jwks_uri must name a public host by its full name"):
        check_jwks_uri(f"https://{host}/jwks")


@pytest.mark.rfc("8725-3.10-1")
@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("", "must be https"),
        ("keys.example/jwks", "must be https"),
        ("//keys.example/jwks", "must be https"),
        ("http://keys.example/jwks", "must be https"),
        ("ftp://keys.example/jwks", "must be https"),
        ("file:///etc/passwd", "must be https"),
        ("data:application/json,{}", "must be https"),
        ("https:keys.example/jwks", "public host"),
        ("https:///keys.example/jwks", "public host"),
        ("https://user@keys.example/jwks", "user information"),
        ("https://user:word@keys.example/jwks", "user information"),
        ("https://@keys.example/jwks", "user information"),
        ("https://keys.example@127.0.0.1/jwks", "user information"),
        ("https://keys.example/jwks#x", "fragment"),
        ("https://keys.example/jwks#", "fragment"),
        ("https://127.0.0.1#keys.example/", "fragment"),
        ("https://127.0.0.1\\@keys.example/", "user information"),
        ("https://keys.example\\.local/", "must be https"),
        ("https:\\\\keys.example\\jwks", "must be https"),
        ("https://keys.example/\\jwks", "must be https"),
        ("https://keys.example:80/jwks", "port 443"),
        ("https://keys.example:8443/jwks", "port 443"),
        ("https://keys.example:0/jwks", "port 443"),
        ("https://keys.example:6379/jwks", "port 443"),
        ("https://keys.example:x/jwks", "not a number"),
        ("https://keys.example:-1/jwks", "not a number"),
        ("https://keys.example:99999/jwks", "not a number"),
        ("https://keys.example:443:80/jwks", "not a number"),
        ("https://[::1/jwks", "broken address"),
        ("https://[keys.example]/jwks", "broken address|public host"),  # as Python sees it
        ("https://keys.example/j wks", "plain ASCII"),
        (" https://keys.example/jwks", "plain ASCII"),
        ("https://keys.example/jwks\n", "plain ASCII"),
        ("https://keys.exa\tmple/jwks", "plain ASCII"),
        ("https://keys.example/\0", "plain ASCII"),
        ("https://kеys.example/jwks", "plain ASCII"),
        ("https://①②⑦.⓪.⓪.①/", "plain ASCII"),
        ("https://keys。example/", "plain ASCII"),
        (URI + "?" + "x" * (2048 - len(URI)), "at most 2048"),
        ("https://keys.example:/jwks", "has a port that is not a number"),
        ("https://keys.example:?x", "has a port that is not a number"),
        ("https://keys.example/%zz", "characters that a URI cannot have"),
        ('https://keys.example/"', "characters that a URI cannot have"),
        ("https://keys.example/[x]", "characters that a URI cannot have"),
    ],
)
def test_no_other_url_may(uri, words):
    """RFC 8725 §3.10: one scheme, one port, and nothing that two parsers read differently."""
    with pytest.raises(InvalidValue, match=words):
        check_jwks_uri(uri)
