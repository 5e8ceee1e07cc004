"""The list of the public API: what breaks callers is found, and has to be in the changelog."""

import warnings
from types import FunctionType
from typing import Annotated

import pytest
import typer
from typing_extensions import deprecated

import scripts.public_api
from scripts.public_api import (
    Difference,
    compare,
    find_unnamed,
    find_unreleased,
    list_api,
    list_commands,
    list_python,
    load_snapshot,
    subject_of,
)
from watchword.cli.help import Group

TOLD = "### Changed\n\n- `{}` is another.\n\n### Fixed\n\n- Nothing.\n"


def before(path: str, *, wait: float = 1) -> str:
    """Stand for a function of the last release."""
    return f"{path}{wait}"


def with_more(path: str, *, wait: float = 1, loud: bool = False) -> str:
    """Have one more parameter, which need not be given."""
    return f"{path}{wait}{loud}"


def with_demand(path: str, *, wait: float = 1, loud: bool) -> str:
    """Have one more parameter, which has to be given."""
    return f"{path}{wait}{loud}"


def without(path: str) -> str:
    """Have one less parameter."""
    return path


def in_another_order(wait: float = 1, path: str = "") -> str:
    """Take by position what was taken by name."""
    return f"{path}{wait}"


@deprecated("use `before`")
def old_name() -> None:
    """Stand for what is to go."""


def change(after: FunctionType) -> Difference:
    """Compare the function of the last release with one that took its place."""
    return compare(
        {"python": [*list_python("it.ask", before)]}, {"python": [*list_python("it.ask", after)]}
    )


def test_the_checkout_keeps_to_the_last_release() -> None:
    """What has gone or changed since is named under Changed or Removed in the changelog."""
    changelog = (scripts.public_api.ROOT / "CHANGELOG.md").read_text()
    difference = compare(load_snapshot()[1], list_api())
    assert find_unnamed(difference, find_unreleased(changelog)) == []


def test_each_kind_is_listed() -> None:
    """One thing of each, as others rely on it."""
    api = list_api()
    assert "resource_api.verify() -> AccessToken" in api["python"]
    assert "resource_api.ResourcePolicy(issuer: str)" in api["python"]
    assert "watchword keys generate --alg VALUE" in api["command line"]
    assert "watchword keys revoke KID required" in api["command line"]
    assert "WATCHWORD_TOKEN_TTL = 3600" in api["settings"]
    assert {"POST /token", "POST /token -> 429", "Client.client_id"} <= {*api["http"]}
    assert "watchword_keys gauge {state}" in api["metrics"]
    assert {"token.issued", "token.issued kid"} <= {*api["events"]}
    assert {"issuer scope_not_allowed", "api token_revoked"} <= {*api["reasons"]}


@pytest.mark.parametrize(
    ("after", "gone", "demanded"),
    [
        (before, (), ()),
        (with_more, (), ()),
        (with_demand, (), ("it.ask(loud: bool)",)),
        (without, ("it.ask(wait: float = 1)",), ()),
        (in_another_order, ("it.ask(0, path: str)", "it.ask(wait: float = 1)"), ()),
    ],
)
def test_what_breaks_callers_of_a_function(
    after: FunctionType, gone: tuple[str, ...], demanded: tuple[str, ...]
) -> None:
    """A parameter that goes, moves or has to be given; not one that may be given."""
    found = change(after)
    assert (found.gone, found.demanded) == (gone, demanded)


def test_a_command_that_asks_for_more_breaks_scripts() -> None:
    """An option that has to be given from now on; a new command may ask for what it likes."""
    old = {"command line": ["watchword keys", "watchword keys list"]}
    new = ["watchword keys list --of VALUE required", "watchword keys count ID required"]
    found = compare(old, {"command line": [*old["command line"], *new, "watchword keys count"]})
    assert found.demanded == (new[0],)
    assert {*found.new} == {"watchword keys count", new[1]}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("resource_api.ResourcePolicy(issuer: str)", "issuer"),
        ("consumer.TokenSource.token() -> str", "token"),
        ("await consumer.TokenSource.atoken() -> str", "atoken"),
        ("resource_api.verify(0, token: bytes)", "token"),
        ("resource_api.Reason.EXPIRED = 'expired'", "EXPIRED"),
        ("resource_api.AccessToken.claims: Mapping[str, Any]", "claims"),
        ("it.old_name is deprecated", "old_name"),
        ("watchword keys generate --alg VALUE", "--alg"),
        ("watchword keys revoke KID required", "KID"),
        ("watchword doctor", "doctor"),
        ("WATCHWORD_TOKEN_TTL = 3600", "WATCHWORD_TOKEN_TTL"),
        ("POST /register/{client_id} -> 200", "/register/{client_id}"),
        ("Client.client_id", "client_id"),
        ("watchword_keys gauge {state}", "watchword_keys"),
        ("token.issued kid", "kid"),
        ("issuer scope_not_allowed", "scope_not_allowed"),
    ],
)
def test_the_changelog_names_what_breaks_callers(line: str, word: str) -> None:
    """By the last part of its name, under Changed or Removed, and nowhere else."""
    assert subject_of(line) == word
    gone = Difference(gone=(line,), demanded=(), new=())
    assert find_unnamed(gone, TOLD.format(word)) == []
    assert find_unnamed(gone, TOLD.format("nothing")) == [line]
    assert find_unnamed(gone, TOLD.format("x").replace("Nothing", f"`{word}`")) == [line]


def test_a_deprecated_function_is_listed_and_warns() -> None:
    """The mark of PEP 702 is what both go by."""
    assert "it.old_name is deprecated" in [*list_python("it.old_name", old_name)]
    with pytest.warns(DeprecationWarning, match="use `before`"):
        old_name()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before("x")


def test_a_deprecated_command_is_listed_and_warns(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, so that what a script reads is as before."""
    app = typer.Typer(cls=Group)
    app.callback()(lambda: None)

    @app.command(deprecated=True)
    def old(name: Annotated[str, typer.Argument()] = "x") -> None:
        print(name)

    command = typer.main.get_command(app)
    assert "watchword old is deprecated" in [*list_commands(command, "watchword")]
    app(["old"], standalone_mode=False)
    said = capsys.readouterr()
    assert said.out == "x\n"
    assert "old" in said.err
    assert "deprecated" in said.err
