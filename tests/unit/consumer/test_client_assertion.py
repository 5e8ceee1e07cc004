"""`private_key_jwt` and `client_secret_jwt`: what is signed, and for whom."""

import copy
import pickle

import jwt
import pytest

from consumer.client_assertion import ClientSecretJwt, PrivateKeyJwt
from consumer.client_auth import TlsClientAuth
from consumer.signing_key import SigningKey
from keys.encoding import encode_base64url
from tests.support.consumer_flow import ISSUER, NOW, applied
from watchword.testing.keys import private_key

SECRET = "wws_" + "s" * 40
KEY = private_key("ES256")
METHODS = [PrivateKeyJwt("billing", KEY), ClientSecretJwt("billing", SECRET)]


def verified(auth):
    """Return header and claims of the assertion that a method adds, verified by PyJWT."""
    form, headers = applied(auth)
    assertion = form.pop("client_assertion")
    assert headers == {}
    assert form == {
        "client_id": "billing",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    key = SECRET if isinstance(auth, ClientSecretJwt) else KEY.public_key()
    claims = jwt.decode(
        assertion,
        key,
        algorithms=["HS256", "ES256"],
        audience=ISSUER,
        options={"verify_exp": False, "verify_iat": False},
    )
    return jwt.get_unverified_header(assertion), claims


@pytest.mark.rfc("7523-3-1-C")
@pytest.mark.rfc("10070-4-1-C", "21-2.4-1")
@pytest.mark.rfc("10070-4-2-C")
@pytest.mark.parametrize("auth", METHODS)
def test_an_assertion_is_for_the_issuer_alone_and_for_a_minute(auth):
    """`aud` is the issuer's identifier, as a string; `typ` says what it is."""
    header, claims = verified(auth)
    assert header["typ"] == "client-authentication+jwt"
    jti = claims.pop("jti")
    times = {"iat": int(NOW), "exp": int(NOW) + 60}
    assert claims == {"iss": "billing", "sub": "billing", "aud": ISSUER, **times}
    assert verified(auth)[1]["jti"] != jti


def test_the_key_is_named_by_its_thumbprint_or_as_the_issuer_calls_it():
    """HMAC has no `kid`: a client has few secrets."""
    thumbprint = SigningKey(KEY).thumbprint
    assert verified(METHODS[0])[0] == {
        "alg": "ES256",
        "typ": "client-authentication+jwt",
        "kid": thumbprint,
    }
    assert verified(PrivateKeyJwt("billing", KEY, kid="k1"))[0]["kid"] == "k1"
    assert "kid" not in verified(METHODS[1])[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda client_id: PrivateKeyJwt(client_id, KEY),
        lambda client_id: ClientSecretJwt(client_id, SECRET),
        TlsClientAuth,
    ],
)
@pytest.mark.parametrize("client_id", ["", "a\nb"])
def test_what_cannot_be_an_id_is_a_mistake(make, client_id):
    """It is refused where it is given."""
    with pytest.raises(ValueError, match="client"):
        make(client_id)


def test_a_secret_that_is_too_short_to_sign_with_is_a_mistake():
    """RFC 7518 §3.2: at least as many bytes as the hash has."""
    with pytest.raises(ValueError, match="at least 32 bytes"):
        ClientSecretJwt("billing", "s" * 31)
    assert ClientSecretJwt("billing", "s" * 32).client_secret == "s" * 32


@pytest.mark.rfc("9700-4.10-1")
@pytest.mark.parametrize("auth", METHODS)
def test_nothing_secret_is_shown_or_repeated(auth):
    """An issuer that echoes the assertion does not get it into a message of ours."""
    assertion = applied(auth)[0]["client_assertion"]
    assert SECRET not in repr(auth)
    assert auth.redact(f"no {assertion}!") == "no (secret)!"
    assert auth.redact(f"no {assertion[:80]}") == "no (secret)"
    assert auth.redact("no such client") == "no such client"


@pytest.mark.parametrize("auth", [*METHODS, TlsClientAuth("billing")])
def test_equal_methods_share_tokens_and_can_be_pickled(auth):
    """They are values: objects made with equal ones share one token."""
    for other in (copy.copy(auth), copy.deepcopy(auth), pickle.loads(pickle.dumps(auth))):
        assert (other, hash(other)) == (auth, hash(auth))


@pytest.mark.rfc("8705-2-1-C")
def test_a_client_with_a_certificate_only_names_itself():
    """The connection proves the rest."""
    assert applied(TlsClientAuth("billing")) == ({"client_id": "billing"}, {})
    assert TlsClientAuth("billing").redact("as it is") == "as it is"


def test_every_jws_begins_as_the_redaction_expects():
    """`{"` in base64url."""
    assert encode_base64url(b'{"alg"').startswith("eyJ")
