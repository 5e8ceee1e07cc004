"""The setting that names claim hooks: what it imports, when, and how mistakes are told."""

from pathlib import Path

import pytest

from issuer.grants.authorization import Authorization
from watchword import claim_hooks
from watchword.claim_hooks import find_hooks
from watchword.settings import SettingsError, load_settings

MODULE = """
from functools import partial

class Hooks:
    @staticmethod
    def tenant(authorization):
        return {"tenant": authorization.client_id}

class Late:
    async def __call__(self, authorization):
        return {}

def none():
    return {}

def two(one, another):
    return {}

def at_will(authorization, more=None):
    return {}

async def late(authorization):
    return {}

def pieces(authorization):
    yield {}

async def late_pieces(authorization):
    yield {}

number, late_object, bound = 7, Late(), partial(two, 1)
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put modules with hooks where Python finds them."""
    (tmp_path / "own_hooks.py").write_text(MODULE)
    (tmp_path / "leaving_hooks.py").write_text("raise SystemExit('a\\nb\\x1b')\n")
    (tmp_path / "stopped_hooks.py").write_text("raise KeyboardInterrupt\n")
    (tmp_path / "broken_hooks.py").write_text("def (\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)


def mistakes(names: str, **others: object) -> list[str]:
    """Return what is wrong with settings."""
    with pytest.raises(SettingsError) as caught:
        load_settings(with_hooks=True, claim_hooks=names, **others)
    return [line.removeprefix("--claim-hooks: ") for line in caught.value.lines]


@pytest.mark.parametrize("names", [None, " , ", "own_hooks:at_will, own_hooks:Hooks.tenant ,"])
def test_hooks_are_listed_with_commas_between(names):
    """In the order in which they are called."""
    settings = load_settings(with_hooks=True, claim_hooks=names)
    hooks = find_hooks(settings.claim_hooks, lambda *_, **__: None)
    named = [name.strip() for name in (names or "").split(",") if name.strip()]
    assert [hook.name for hook in hooks] == named
    plain = Authorization(subject="a", client_id="a", resource="urn:b", scopes=(), token_ttl=1)
    assert [hook.run(plain) for hook in hooks] == [{}, {"tenant": "a"}][: len(hooks)]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("own_hooks", "'own_hooks' must be package.module:attribute"),
        ("own_hooks.late", "'own_hooks.late' must be package.module:attribute"),
        ("own_hooks:", "'own_hooks:' must be package.module:attribute"),
        (":late", "':late' must be package.module:attribute"),
        (".own_hooks:late", "'.own_hooks:late' must be package.module:attribute"),
        ("own hooks:late", "'own hooks:late' must be package.module:attribute"),
        ("own_hooks:late:x", "'own_hooks:late:x' must be package.module:attribute"),
        ("own_hooks:number", "own_hooks:number is no function"),
        ("own_hooks:none", "own_hooks:none must take one argument"),
        ("own_hooks:two", "own_hooks:two must take one argument"),
        ("own_hooks:late", "own_hooks:late must be a plain function"),
        ("own_hooks:late_object", "own_hooks:late_object must be a plain function"),
        ("own_hooks:pieces", "own_hooks:pieces must be a plain function"),
        ("own_hooks:late_pieces", "own_hooks:late_pieces must be a plain function"),
        ("own_hooks:gone", "own_hooks:gone cannot be imported: AttributeError: "),
        ("no_hooks:late", "no_hooks:late cannot be imported: ModuleNotFoundError: "),
        ("broken_hooks:late", "broken_hooks:late cannot be imported: SyntaxError: "),
        ("leaving_hooks:late", "leaving_hooks:late cannot be imported: SystemExit: a;"),
    ],
)
def test_what_is_no_hook_is_told(name, why):
    """In a line that any terminal can show, with what to do."""
    (line,) = mistakes(name)
    assert line.startswith(why)
    assert line.isprintable()


def test_all_mistakes_are_told_at_once():
    """A line for each hook, and for each other setting."""
    told = mistakes("own_hooks:late,x,own_hooks:two,own_hooks:bound,own_hooks:two", port=-1)
    assert sorted(line.split(" ")[0] for line in told) == [
        "'own_hooks:two'",
        "'x'",
        "--port:",
        "own_hooks:late",
        "own_hooks:two",
    ]


def test_an_interrupt_while_hooks_are_imported_ends_the_command():
    """It is no fault of the module."""
    with pytest.raises(KeyboardInterrupt):
        load_settings(with_hooks=True, claim_hooks="stopped_hooks:late")


def test_other_commands_only_look_at_the_names():
    """A hook that cannot be imported keeps nobody from withdrawing a key."""
    assert load_settings(claim_hooks="no_hooks:late").claim_hooks == "no_hooks:late"
    with pytest.raises(SettingsError, match=r"must be package\.module:attribute"):
        load_settings(claim_hooks="no_hooks")


def test_a_slow_hook_is_told_of_once(monkeypatch):
    """While a hook runs, no other request is answered."""
    moments = iter([0.0, 0.05, 1.0, 1.06, 2.0, 3.0])
    monkeypatch.setattr(claim_hooks, "perf_counter", lambda: next(moments))
    events: list[tuple[str, object]] = []
    (hook,) = find_hooks("own_hooks:at_will", lambda event, **told: events.append((event, told)))
    for _ in range(3):
        assert hook.run(()) == {}
    assert events == [("claim_hook.slow", {"hook": "own_hooks:at_will", "milliseconds": 60})]
