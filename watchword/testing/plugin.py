"""The pytest plugin: the fixture `watchword_issuer`, and the options that say what it issues for.

pytest loads it wherever watchword is installed, so nothing is imported before the fixture is used.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from watchword.testing.issuer import Issuer


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the configuration file."""
    parser.addini("watchword_issuer", "the issuer that the API under test trusts", default="")
    parser.addini("watchword_audience", "the identifier of the API under test", default="")


@pytest.fixture
def watchword_issuer(pytestconfig: pytest.Config) -> "Iterator[Issuer]":
    """Give an issuer that answers at its URL without a socket, as long as the test runs."""
    from watchword.testing.issuer import AUDIENCE, URL, Issuer

    url = pytestconfig.getini("watchword_issuer") or URL
    audience = pytestconfig.getini("watchword_audience") or AUDIENCE
    try:
        made = Issuer(url, audience=audience)
    except ValueError as error:
        pytest.fail(f"the option watchword_issuer {error}", pytrace=False)
    with made.serving() as issuer:
        yield issuer
