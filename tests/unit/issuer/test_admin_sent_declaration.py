"""Unit tests of `issuer.administration.declaration.document`: a declaration sent to a server."""

import pytest

from issuer.administration.declaration.document import (
    SentDeclaration,
    SentSecret,
    read_sent,
    write_sent,
)
from issuer.registry.errors import InvalidDocument
from issuer.registry.mistakes import write_pointer
from issuer.registry.schema import Json
from tests.support.declaration import absent, declared, grant, known
from tests.support.keys import public_rsa_jwk
from tests.support.registry import NOW, RESOURCE, SECRET, orders


def mistakes_in(document: Json) -> dict[str, str]:
    """Return what is wrong with a declaration, by place."""
    with pytest.raises(InvalidDocument) as caught:
        read_sent(document)
    return {write_pointer(each.path): each.why for each in caught.value.mistakes}


def client(**members: object) -> Json:
    """Write a declaration of one client."""
    return {"clients": [{"client_id": "till"} | members]}


def test_what_was_sent_arrives() -> None:
    """Registrations and resources whole, the secrets as they are."""
    sent = SentDeclaration(
        resources=(orders("read", "write"),),
        clients=(
            declared("till", grant("read", "write", default=("read",)), token_ttl=60),
            declared("none", secrets=()),
            declared("more", secrets=(known(expires_at=NOW), absent())),
        ),
    )
    arrived = read_sent(write_sent(sent))
    assert arrived.resources == sent.resources
    assert [each.registration for each in arrived.clients] == [
        each.registration for each in sent.clients
    ]
    alone, none, more = (each.secrets for each in arrived.clients)
    assert (alone, none) == (None, ())
    assert more is not None
    first, second = more
    assert isinstance(first, SentSecret)
    assert first.value is not None
    assert first.value.reveal() == SECRET
    assert (first.source, first.expires_at) == ("env TILL", NOW)
    assert (second.value, second.source) == (None, "generate_to till.secret")


def test_a_secret_on_its_way_is_in_no_representation() -> None:
    """What arrives is shown as little as what is read from a file."""
    sent = SentDeclaration(clients=(declared("till", secrets=(known(),)),))
    assert SECRET in str(write_sent(sent))
    assert SECRET not in repr(read_sent(write_sent(sent)))


def test_all_mistakes_are_told_with_their_places() -> None:
    """Of the models, and between the parts."""
    document = {
        "version": 2,
        "resources": [{"resource": RESOURCE, "scopes": ["read"]}],
        "clients": [
            {"client_id": "till", "grants": [{"resource": RESOURCE, "scope": "fly"}]},
            {"client_id": "till", "secrets": [{"source": "x", "client_secret": "short"}]},
        ],
    }
    found = mistakes_in(document)
    assert set(found) == {
        "/version",
        "/clients/0/grants/0/scope",
        "/clients/1/client_id",
        "/clients/1/secrets/0/client_secret",
    }
    assert found["/version"] == "must be 1"


def test_one_secret_twice_is_refused() -> None:
    """Revoking one of them would not end the other."""
    secret = {"source": "x", "client_secret": SECRET}
    assert mistakes_in(client(secrets=[secret, secret])) == {
        "/clients/0": "two of its secrets are the same"
    }


def test_secrets_are_for_clients_that_use_some() -> None:
    """A client with keys has none."""
    keys = {
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public_rsa_jwk().members()]},
    }
    secrets = [{"source": "x", "client_secret": SECRET}]
    assert mistakes_in(client(secrets=secrets, **keys)) == {
        "/clients/0": "private_key_jwt uses no secrets"
    }
    assert mistakes_in(client(token_endpoint_auth_method="private_key_jwt")) == {
        "/clients/0": "private_key_jwt needs one of jwks, jwks_uri"
    }
