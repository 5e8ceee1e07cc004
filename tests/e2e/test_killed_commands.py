"""`kill -9` in the middle of any command: the registry opens and is either before or after."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from issuer.storage.registry import Registry
from tests.support.command import run_command
from tests.support.provider import Place, make_place
from tests.support.registry import NOW, RegistryHarness, new_client, orders
from watchword.registry import own_resources
from watchword.settings import load_settings

FILE = """
[[resources]]
resource = "urn:orders"
scopes = ["read", "ship"]

[[resources]]
resource = "urn:new"
scopes = ["write"]

[[clients]]
client_id = "till"
grants = [{ resource = "urn:new", scope = "write" }]
secrets = [{ generate_to = "till.secret" }]

[[clients]]
client_id = "fresh"
grants = [{ resource = "urn:orders", scope = "ship" }]
secrets = [{ generate_to = "fresh.secret" }]
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Prepare a registry with a client and a resource, on each engine."""
    place = make_place(tmp_path)
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    place.settings["WATCHWORD_DATABASE_URL"] = url
    with closing(Registry.open(url, now=lambda: NOW, upgrade=True)) as registry:
        # What every first command that writes does, in transactions of its own.
        registry.settle_issuer(place.url, own=place.url, serving=False)
        registry.ensure_resources(*own_resources(load_settings(issuer=place.url)))
        harness = RegistryHarness(registry)
        harness.create_resource(orders(identifier="urn:orders"))
        harness.create_client(new_client("till", resources=("urn:orders",), scopes=("read",)))
        harness.create_client(new_client("old", resources=("urn:orders",), scopes=("write",)))
    (tmp_path / "registry.toml").write_text(FILE)
    return place


@pytest.mark.parametrize(
    "command",
    [
        "clients create fresh --resource urn:orders --scope read --secret-expires-in 900",
        "clients update till --grant",
        "clients secrets add till --expires-in 900",
        "clients delete till --yes",
        "resources update urn:orders --remove-scope write --withdraw",
        "apply registry.toml --prune",
    ],
)
def test_a_command_that_is_killed_is_done_or_not_done(place: Place, command: str) -> None:
    """Killed before one statement after another; the last time it gets through."""
    words = command.split()
    if words[-1] == "--grant":
        words.append("urn:orders write read")
    ran = run_command(place.folder, *words, module="tests.support.killing", **place.own_settings())
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["exit"] == 0, told
    assert told["changed"]
    assert told["kills"] >= 5
    assert told["broken"] == 0
    if words[0] == "apply":
        assert_secrets_are_not_lost(place)


def assert_secrets_are_not_lost(place: Place) -> None:
    """Whatever was generated on the way is in its file, and is what the registry knows."""
    done = place.run("apply", "registry.toml", "--json")
    assert json.loads(done.stdout)["changed"] is False, done.stdout
    secret = (place.folder / "fresh.secret").read_text().strip()
    assert secret.startswith("wws_")
    assert (place.folder / "fresh.secret").stat().st_mode & 0o777 == 0o600
