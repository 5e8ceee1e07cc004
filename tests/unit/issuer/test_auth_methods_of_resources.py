"""How a client has to authenticate for the tokens of a resource."""

import pytest

from issuer.client_auth.methods import AuthenticatedClient
from issuer.errors import InvalidTarget, Reason
from issuer.grants.authorization import Authorization
from issuer.profile import OPEN
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.service import check_policy
from tests.support.issuer import API, OTHER_API, make_client

BOTH = tuple(ResourcePermission(resource=each, scopes=("read",)) for each in (API, OTHER_API))


def check(method: AuthMethod, *taken: AuthMethod) -> None:
    """Check a token for two resources, the second of which takes these methods."""
    policies = {API: TokenPolicy(), OTHER_API: TokenPolicy(auth_methods=taken)}
    client = make_client(grants=BOTH, policies=policies)
    authorization = Authorization(
        "svc-a", "svc-a", API, ("read",), 60, further_resources=(OTHER_API,)
    )
    check_policy(authorization, AuthenticatedClient(client, "c", method), OPEN)


@pytest.mark.parametrize("taken", AuthMethod)
@pytest.mark.parametrize("method", AuthMethod)
def test_only_a_method_that_is_named_will_do(method: AuthMethod, taken: AuthMethod) -> None:
    """Of the two ways to send a secret too, and for each resource of a token."""
    if method is taken:
        check(method, taken)
        return
    with pytest.raises(InvalidTarget) as caught:
        check(method, taken)
    error = caught.value
    assert (error.status, error.code, error.reason) == (
        400,
        "invalid_target",
        Reason.AUTH_METHOD_NOT_TAKEN,
    )
    assert (error.client_id, error.asked) == ("svc-a", OTHER_API)
    assert str(error.description).endswith(f": {taken}")


@pytest.mark.parametrize("method", AuthMethod)
def test_a_resource_that_names_none_takes_all(method: AuthMethod) -> None:
    """As before it could name some; one of several suffices."""
    check(method)
    check(method, *AuthMethod)
