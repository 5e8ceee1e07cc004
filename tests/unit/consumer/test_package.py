"""What `import consumer` gives, and what it costs."""

import subprocess
import sys

import pytest

import consumer


def test_the_public_names():
    """They are few, and all of them are there."""
    assert consumer.__all__ == [
        "ClientAuth",
        "ClientCredentials",
        "ClientSecretBasic",
        "ClientSecretPost",
        "ConsumerError",
        "InsecureUrl",
        "InvalidTokenResponse",
        "MetadataError",
        "TokenEndpointUnreachable",
        "TokenExchange",
        "TokenRequestRefused",
        "TokenSource",
    ]
    assert all(hasattr(consumer, name) for name in consumer.__all__)


def test_every_error_has_one_base():
    """A caller who catches `ConsumerError` has caught them all."""
    errors = [getattr(consumer, name) for name in consumer.__all__]
    errors = [error for error in errors if issubclass(error, Exception)]
    assert len(errors) == 6
    assert all(issubclass(error, consumer.ConsumerError) for error in errors)


def test_other_names_are_an_attribute_error():
    """The lazy import does not swallow mistakes."""
    with pytest.raises(AttributeError, match="nonsense"):
        consumer.nonsense  # noqa: B018


def test_importing_the_package_loads_no_http_library():
    """It costs a tenth of a second, and httpx2 users have no need of httpx."""
    code = (
        "import sys, consumer; print('httpx' in sys.modules);"
        "import consumer.httpx2_auth; print('httpx' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]
