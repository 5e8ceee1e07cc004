"""All mistakes of a command line at once."""

import pytest

from issuer.registry.errors import InvalidValue
from watchword.cli.errors import WrongUsage
from watchword.cli.mistakes import Mistakes
from watchword.settings import SettingsError


def test_mistakes_are_told_in_their_order_each_once():
    """Two ways to find the same mistake are one line."""
    mistakes = Mistakes()
    with mistakes.of("--a"):
        raise ValueError("must be less")
    with mistakes.of("ID"):
        raise InvalidValue("is too long")
    mistakes.add("--a: must be less")
    with mistakes.gathered():
        raise SettingsError(["WATCHWORD_PORT: no", "WATCHWORD_HOST: no"])
    with mistakes.gathered():
        raise WrongUsage("set WATCHWORD_CLIENT_ID")
    with pytest.raises(WrongUsage) as refusal:
        mistakes.refuse()
    assert refusal.value.lines == (
        "--a: must be less",
        "ID: is too long",
        "WATCHWORD_PORT: no",
        "WATCHWORD_HOST: no",
        "set WATCHWORD_CLIENT_ID",
    )


def test_no_mistake_refuses_nothing():
    """And other errors are not mistakes of the command line."""
    mistakes = Mistakes()
    mistakes.exclude("--a", [("--b", None), ("--c", False)])
    mistakes.refuse()
    with pytest.raises(LookupError), mistakes.of("--a"):
        raise LookupError
    assert not mistakes


def test_options_that_exclude_each_other_are_named():
    """Given is what has a value, an empty list of texts included."""
    mistakes = Mistakes()
    mistakes.exclude("--a", [("--b", [""]), ("--c", True)])
    with pytest.raises(WrongUsage, match="--a: not together with --b; --a: not together with --c"):
        mistakes.refuse()
