"""Options into the members of documents, and the options that come from the schema."""

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from issuer.registry.client import ClientRegistration
from issuer.registry.errors import InvalidValue
from issuer.registry.resource import Resource
from issuer.registry.schema import Option, marks_of
from watchword.cli import options
from watchword.cli.output import Mistakes, WrongUsage

NOW = 1_700_000_000


@dataclass(frozen=True, kw_only=True)
class Size(options.Attributes):
    """Two options."""

    width: Annotated[str | None, typer.Option(metavar="N", help="How wide.")] = None
    deep: Annotated[bool, typer.Option("--deep/--flat", help="Whether deep.")] = False


def test_a_command_gets_the_fields_of_a_group_as_options(capsys):
    """Beside its own, in the place of the group; the command gets them as one value."""
    app, got = typer.Typer(), []

    @app.command()
    @options.with_options(Size)
    def cut(name: str, options: Size, times: int = 1) -> None:
        """Cut."""
        got.append((name, options, times))

    app(["x", "--width", "3", "--deep", "--times", "2"], standalone_mode=False)
    app(["y"], standalone_mode=False)
    assert got == [("x", Size(width="3", deep=True), 2), ("y", Size(), 1)]
    app(["--help"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "Cut." in shown
    assert shown.index("--width") < shown.index("--deep") < shown.index("--times")
    assert "How wide." in shown


def test_a_command_gets_the_options_for_attributes_as_they_were_typed():
    """Under the names of the attributes; the other fields of the group stay."""
    got = []

    @options.with_options(Size, "resource")
    def cut(options: Size) -> None:
        got.append(options)

    app = typer.Typer()
    app.command()(cut)
    app(["--alg", "RS256", "--no-dpop", "--width", "3"], standalone_mode=False)
    assert got[0].width == "3"
    typed = {name: value for name, value in got[0].typed.items() if value is not None}
    assert typed == {"signing_alg": "RS256", "dpop_bound_access_tokens_required": False}


@pytest.mark.parametrize(
    ("kind", "model"), [("client", ClientRegistration), ("resource", Resource)]
)
def test_every_option_that_the_schema_has_is_there(kind, model):
    """With the flag that the schema says; `scripts/docs --check` compares the rest."""
    described = {each.member: each.flag for each in options.attribute_options(kind)}
    assert described == {name: option.flag for name, option in marks_of(model, Option).items()}
    for each in options.attribute_options(kind):
        parameter = each.parameter()
        assert (parameter.name, parameter.kind) == (each.member, inspect.Parameter.KEYWORD_ONLY)


def test_values_are_read_by_the_form_that_the_schema_has():
    """Numbers, switches, lists and pairs become JSON; what is no duration is a mistake."""
    typed = {
        "client_name": "Till",
        "token_ttl": "60",
        "disabled": False,
        "grant_types": ["a b", "a"],
        "metadata": ["team=shop", "note=a=b"],
    }
    mistakes = Mistakes()
    assert options.read_attributes("client", typed, mistakes) == {
        "client_name": "Till",
        "token_ttl": 60,
        "disabled": False,
        "grant_types": ["a", "b"],
        "metadata": {"team": "shop", "note": "a=b"},
    }
    for text in ("soon", "", "1.5", "٣", "1_000", "+1", " 1"):
        wrong = Mistakes()
        assert options.read_attributes("client", {"token_ttl": text}, wrong) == {}
        with pytest.raises(WrongUsage, match="--token-ttl: must be 1 or more: a whole number of s"):
            wrong.refuse()
    assert not mistakes


def test_values_are_unset_by_the_names_of_their_options():
    """Only those that the schema lets be unset, and not beside another option for the same."""
    patch, mistakes = {"client_name": "Till"}, Mistakes()
    options.read_unset("client", ["token-ttl", "name", "auth"], patch, mistakes, ["more"])
    assert patch == {"client_name": "Till", "token_ttl": None}
    with pytest.raises(WrongUsage) as refusal:
        mistakes.refuse()
    names = [each.name for each in options.attribute_options("client") if each.unset]
    assert {"name", "token-ttl", "expires-at", "metadata"} <= set(names)
    assert refusal.value.lines == (
        "--unset name: another option sets or unsets it as well",
        f"--unset: choose {', '.join(names)} or more",
    )


@pytest.mark.parametrize("text", ["1", "60", "999999999999"])
def test_counts_are_whole_and_positive(text):
    """In ASCII digits alone."""
    assert options.parse_count(text) == int(text)


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", "1.5", "1e3", " 1", "1\n", "٣", "1_000", "1d"]
)
def test_other_counts_are_refused(text):
    """What Python would take for a number is not always one to people."""
    with pytest.raises(ValueError, match="must be a whole number, 1 or more"):
        options.parse_count(text)


def test_the_schema_refuses_what_is_no_duration():
    """And says which values it has."""
    assert options.read_duration("12h") == 43_200
    assert options.read_duration("0") == 0
    assert options.read_duration("-5") == -5
    with pytest.raises(ValueError, match="a whole number of seconds, or one with a unit, such as"):
        options.read_duration("soon")


@pytest.mark.parametrize(
    ("text", "why"), [("0", "must be 1 or more"), ("2d", "must be 86400 seconds")]
)
def test_a_duration_without_a_schema_has_its_own_bounds(text, why):
    """The line names the option."""
    assert options.read_duration_option("--wait", "1d", most=86_400) == 86_400
    with pytest.raises(WrongUsage, match=f"--wait: {why}"):
        options.read_duration_option("--wait", text, most=86_400)


def test_seconds_from_now_are_a_time():
    """RFC 3339 in UTC, up to the year 9999."""
    assert options.later("60", NOW) == options.later("1m", NOW) == "2023-11-14T22:14:20Z"
    with pytest.raises(InvalidValue, match="the year 9999"):
        options.later("999999999999", NOW)


def test_notes_keep_what_follows_the_first_equals_sign():
    """An empty value is a value, an empty key is none."""
    assert options.read_pairs(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    with pytest.raises(ValueError, match="KEY=VALUE"):
        options.read_pairs(["=x"])


@pytest.mark.parametrize("path", ["missing.json", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path, monkeypatch, path):
    """Named with the reason."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="cannot be read: "):
        options.load_object(path)
