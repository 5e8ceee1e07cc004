"""`watchword console`: a link for a user of the machine; the browser takes it in tests/browser."""

import time
from datetime import datetime

import pytest

from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import document


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in a folder with a registry, with the console on."""
    run = run_in_empty_folder(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("WATCHWORD_CONSOLE", "on")
    assert run("db", "upgrade").returncode == 0
    return run


def test_the_link_is_of_the_issuer_and_its_code_is_sent_to_nobody(run):
    """Browsers keep what follows `#`; no two links are the same."""
    links = [run("console", "--no-open").stdout.strip() for _ in range(2)]
    for link in links:
        address, _, code = link.partition("#")
        assert (address, bool(code)) == (f"{ISSUER}/console/sign-in", True)
    assert links[0] != links[1]


def test_a_document_says_when_the_link_ends(run):
    """Nothing is opened for a program that asks."""
    told = document(run("console", "--json"))
    assert sorted(told) == ["expires_at", "url", "user"]
    left = datetime.fromisoformat(told["expires_at"]).timestamp() - time.time()
    assert 0 < left <= 60


@pytest.mark.parametrize(
    ("settings", "words", "code"),
    [
        ({"WATCHWORD_CONSOLE": "off"}, "the console is off; WATCHWORD_CONSOLE=on", 2),
        ({"WATCHWORD_CONSOLE": "maybe"}, "WATCHWORD_CONSOLE", 2),
        ({"WATCHWORD_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}, "127.0.0.1:9", 1),
    ],
)
def test_no_link_is_printed_that_nobody_takes(run, monkeypatch, settings, words, code):
    """Whatever the reason, it is one line, and the standard output stays empty."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    done = run("console", "--no-open")
    assert words in refused(done, code)
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("WATCHWORD_DATA_DIR", "elsewhere", "{folder}/elsewhere"),
        ("WATCHWORD_DATABASE_URL", "sqlite:///other.db", "sqlite:///other.db"),
    ],
)
def test_where_no_registry_is_no_link_is_made_and_nothing_else(
    run, tmp_path, monkeypatch, name, value, place
):
    """Its code would be sealed with a key that no server knows."""
    before = sorted(tmp_path.iterdir())
    monkeypatch.setenv(name, value)
    told = refused(run("console", "--no-open"))
    assert f"there is no registry yet: {place.format(folder=tmp_path)}; set {name} to" in told
    assert sorted(tmp_path.iterdir()) == before
