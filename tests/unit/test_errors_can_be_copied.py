"""Every error of every package survives pickling, so that a process pool can hand it back."""

import copy
import importlib
import inspect
import pickle
import pkgutil

import pytest

from consumer.errors import TokenEndpointUnreachable, TokenRequestRefused
from issuer.administration.http.problems import NOT_FOUND, RequestRefused
from issuer.errors import ClaimHookFailed, OAuthError, Reason, TooManyRequests, UseDpopNonce
from issuer.registry.errors import DeclarationRefused, InvalidDocument
from issuer.registry.mistakes import Mistake
from resource_api import errors as resource_errors
from watchword.cli.output import WrongUsage
from watchword.console import app
from watchword.console.api import ApiRefusal
from watchword.settings import SettingsError

SAMPLES = (
    (resource_errors.InsufficientClaim, lambda found: found()),
    (resource_errors.InsufficientDetails, lambda found: found()),
    (resource_errors.InsufficientScope, lambda found: found(("read", "write"))),
    (resource_errors.KeysUnavailable, lambda found: found(7)),
    (resource_errors.StatusUnavailable, lambda found: found(7)),
    (
        resource_errors.CheckUnavailable,
        lambda found: found(resource_errors.Reason.STATUS_UNAVAILABLE, 7),
    ),
    (resource_errors.NonceNeeded, lambda found: found("a-nonce")),
    (resource_errors.InvalidToken, lambda found: found(resource_errors.Reason.EXPIRED, kid="k")),
    (resource_errors.ResourceError, lambda found: found(resource_errors.Reason.NO_CREDENTIALS)),
    (ClaimHookFailed, lambda found: found("a.b:c", "it gave nothing", client_id="billing")),
    (
        TooManyRequests,
        lambda found: found(Reason.QUOTA_USED_UP, "later", client_id="billing", retry_after=7),
    ),
    (
        UseDpopNonce,
        lambda found: found(Reason.PROOF_NONCE, "why", client_id="billing", nonce="a-nonce"),
    ),
    (OAuthError, lambda found: found(Reason.MEDIA_TYPE, "a description", client_id="billing")),
    (InvalidDocument, lambda found: found([Mistake(("scope",), "no", 2), Mistake((), "nor this")])),
    (DeclarationRefused, lambda found: found(["one obstacle", "another"])),
    (RequestRefused, lambda found: found(NOT_FOUND, "nothing here", [(b"allow", b"GET")])),
    (SettingsError, lambda found: found(["port: no", "host: no"])),
    (WrongUsage, lambda found: found("no", "nor this")),
    (ApiRefusal, lambda found: found(409, {"title": "It is in use", "detail": "why"})),
    (app._Refused, lambda found: found(404, "There is no such page", "why", "not_found")),
    (TokenRequestRefused, lambda found: found("invalid_client", "why", 401, 3.0)),
    (TokenEndpointUnreachable, lambda found: found("it is away", 3.0)),
)
"""How to make the errors that take more than one line; a subclass comes before its base."""

PACKAGES = ("keys", "issuer", "resource_api", "consumer", "watchword")


def error_classes():
    """Every exception class that is defined in one of our modules."""
    found = set()
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if module.name.endswith(("__main__", ".env")) or ".versions." in module.name:
                continue
            for value in vars(importlib.import_module(module.name)).values():
                if (
                    inspect.isclass(value)
                    and issubclass(value, BaseException)
                    and value.__module__ == module.name
                ):
                    found.add(value)
    found.discard(OAuthError)  # a base that has no code, and is never raised
    return sorted(found, key=lambda found_class: (found_class.__module__, found_class.__name__))


def sample(found):
    """Make an error as the code does."""
    for base, make in SAMPLES:
        if issubclass(found, base):
            return make(found)
    return found("one line")


def shown(error):
    """Everything that one can see of an error."""
    return type(error), str(error), error.args, vars(error)


def test_the_packages_are_searched_through():
    """The list below is made by looking, and would be empty if the look went wrong."""
    assert len(error_classes()) > 50


@pytest.mark.parametrize("found", error_classes(), ids=lambda found: found.__qualname__)
def test_an_error_can_be_copied_and_pickled(found):
    """Nothing of it is lost on the way to another process."""
    error = sample(found)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert shown(pickle.loads(pickle.dumps(error, protocol))) == shown(error)
    assert shown(copy.copy(error)) == shown(copy.deepcopy(error)) == shown(error)
