"""What a security profile lets the registry become; the methods that a resource takes."""

from contextlib import closing

import pytest

from issuer.profile import FAPI2
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import ClientRegistration
from issuer.registry.errors import InvalidValue
from issuer.registry.permission import ResourcePermission
from issuer.storage.registry import Registry
from tests.support.assertions import jwk_of
from tests.support.registry import RESOURCE, TESTER, orders

OTHER = "https://bills.example"


@pytest.fixture
def strict(registry, database_url, clock):
    """Give the same registry as it is opened under the profile."""
    with closing(Registry.open(database_url, now=clock, timeout=30)) as opened:
        opened.profile = FAPI2
        yield opened


@pytest.mark.rfc("fapi-5.3.2.1-1", "fapi-5.4-1")
def test_nothing_becomes_what_the_profile_forbids(registry, strict):
    """A new client or resource, and one that is changed; the error names the profile."""
    keys = {"jwks": {"keys": [jwk_of()]}, "token_endpoint_auth_method": "private_key_jwt"}
    good = ClientRegistration(client_id="good", **keys)
    strict.change(lambda edit: edit.create_client(good), by=TESTER)
    bad = ClientRegistration(client_id="good")
    for work in (
        lambda edit: edit.create_client(ClientRegistration(client_id="bad")),
        lambda edit: edit.replace_client(bad),
        lambda edit: edit.create_resource(orders(identifier=OTHER, signing_alg="RS256")),
        lambda edit: edit.replace_resource(orders(signing_alg="RS256")),
    ):
        with pytest.raises(InvalidValue, match="fapi2"):
            strict.change(work, by=TESTER)
    left = strict.read(lambda reading: reading.list_clients())
    assert [each.registration for each in left] == [good]


def test_what_was_there_before_can_still_be_changed(registry, strict):
    """Such as disabled; its fault is not another one."""
    old = ClientRegistration(client_id="old")
    registry.registry.change(lambda edit: edit.create_client(old), by=TESTER)
    disabled = ClientRegistration(client_id="old", disabled=True)
    after = strict.change(lambda edit: edit.replace_client(disabled), by=TESTER)
    assert after.registration.disabled


def test_methods_that_a_resource_takes_are_kept(registry, another):
    """They come back with the resource, and with each client that is granted something there."""
    methods = (AuthMethod.PRIVATE_KEY_JWT, AuthMethod.TLS_CLIENT_AUTH)
    grant = ResourcePermission(resource=RESOURCE, scopes=("read",))
    client = ClientRegistration(client_id="till", grants=(grant,))

    def work(edit):
        edit.replace_resource(orders(auth_methods=methods))
        edit.create_client(client)

    registry.registry.change(work, by=TESTER)
    kept = another.registry.read(lambda reading: reading.require_resource(RESOURCE))
    assert kept.resource.auth_methods == methods
    found = another.registry.read(lambda reading: reading.require_client("till"))
    assert found.policies[RESOURCE].auth_methods == methods
