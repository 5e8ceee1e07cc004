"""An operator's week by command, by command against a server, over HTTP and by file: one result."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from issuer.registry.representation import describe_client, describe_resource
from issuer.storage.registry import Registry
from tests.support.command import Done, document, run_command
from tests.support.provider import Place, eventually, make_place, running
from watchword.registry import ADMIN_SCOPES

ORDERS, BILLING = "https://orders.example", "https://billing.example"
OLD, NEW, OFFICE = ("wws_" + letter * 43 for letter in "onf")


class Week:
    """What happens on each day, in one way of doing it."""

    def __init__(self, place: Place, admin: dict[str, Any]) -> None:
        self.place = place
        self.admin = admin

    def days(self) -> list[Callable[[], None]]:
        """List the days in order."""
        return [
            self.create,
            self.grant,
            self.rotate_secret,
            self.move_scope,
            self.disable,
            self.delete,
            self.restore,
        ]

    def run(self, *arguments: str, stdin: str = "") -> Done:
        """Run a command that must succeed."""
        done = run_command(self.place.folder, *arguments, stdin=stdin, **self.place.own_settings())
        assert done.returncode == 0, done.stderr
        return done

    def restore(self) -> None:
        """Put back what was deleted, from the file that was kept on Thursday."""
        self.run("apply", "kept.yaml", *self.more())

    def more(self) -> list[str]:
        """Say what commands take besides."""
        return []


class ByCommand(Week):
    """Commands on the database."""

    def create(self) -> None:
        self.run("resources", "create", ORDERS, "--scope", "read", "--scope", "ship", *self.more())
        self.run("resources", "create", BILLING, "--scope", "bill", *self.more())

    def grant(self) -> None:
        for name, grant, secret in (
            ("till", f"{ORDERS} read ship", OLD),
            ("office", f"{BILLING} bill", OFFICE),
        ):
            options = ("--grant", grant, "--secret-stdin", "--json", *self.more())
            self.run("clients", "create", name, *options, stdin=secret + "\n")

    def rotate_secret(self) -> None:
        listed = document(self.run("clients", "secrets", "list", "till", "--json", *self.more()))
        (old,) = (each["secret_id"] for each in listed["secrets"])
        add = ("clients", "secrets", "add", "till", "--secret-stdin", *self.more())
        self.run(*add, stdin=NEW + "\n")
        self.run("clients", "secrets", "revoke", "till", old, *self.more())

    def move_scope(self) -> None:
        self.run("resources", "update", BILLING, "--add-scope", "ship", *self.more())
        grants = ("--grant", f"{ORDERS} read", "--grant", f"{BILLING} ship")
        self.run("clients", "update", "till", *grants, *self.more())
        self.run("resources", "update", ORDERS, "--remove-scope", "ship", *self.more())

    def disable(self) -> None:
        self.run("clients", "disable", "office", *self.more())

    def delete(self) -> None:
        self.run("clients", "delete", "till", "--yes", *self.more())


class ByCommandThroughServer(ByCommand):
    """The same commands, which ask the server."""

    def run(self, *arguments: str, stdin: str = "") -> Done:
        """Run a command as the client that may administer."""
        self.place.settings |= {
            "WATCHWORD_CLIENT_ID": self.admin["client_id"],
            "WATCHWORD_CLIENT_SECRET": self.admin["client_secret"],
        }
        return super().run(*arguments, stdin=stdin)

    def more(self) -> list[str]:
        """Say which server."""
        return ["--server", self.place.url]


class OverHttp(Week):
    """Requests, as a script in any language sends them."""

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Send one request that must succeed."""
        token = self.place.ask(self.admin).json()["access_token"]
        answer = httpx.request(
            method,
            f"{self.place.url}/admin/api/v1/{path}",
            headers={"authorization": f"Bearer {token}"} | options.pop("headers", {}),
            trust_env=False,
            **options,
        )
        assert answer.is_success, answer.text
        return answer

    def create(self) -> None:
        for uri, scopes in ((ORDERS, ["read", "ship"]), (BILLING, ["bill"])):
            self.ask("POST", "resources", json={"resource": uri, "scopes": scopes})

    def grant(self) -> None:
        for name, uri, scope, secret in (
            ("till", ORDERS, "read ship", OLD),
            ("office", BILLING, "bill", OFFICE),
        ):
            grants = [{"resource": uri, "scope": scope}]
            client = {"client_id": name, "grants": grants, "client_secret": secret}
            self.ask("POST", "clients", json=client)

    def rotate_secret(self) -> None:
        (old,) = self.ask("GET", "clients/till/secrets").json()["secrets"]
        self.ask("POST", "clients/till/secrets", json={"client_secret": NEW})
        self.ask("DELETE", f"clients/till/secrets/{old['secret_id']}")

    def move_scope(self) -> None:
        orders, billing = (f"resources/{quote(uri, safe='')}" for uri in (ORDERS, BILLING))
        self.ask("PATCH", billing, json={"scopes": ["bill", "ship"]})
        shown = self.ask("GET", "clients/till")
        grants = [
            {"resource": ORDERS, "scope": "read"},
            {"resource": BILLING, "scope": "ship"},
        ]
        unchanged = {"if-match": shown.headers["etag"]}
        self.ask("PATCH", "clients/till", json={"grants": grants}, headers=unchanged)
        self.ask("PATCH", orders, json={"scopes": ["read"]})

    def disable(self) -> None:
        self.ask("PATCH", "clients/office", json={"disabled": True})

    def delete(self) -> None:
        self.ask("DELETE", "clients/till")


class ByFile(Week):
    """One file, changed from day to day and applied."""

    def __init__(self, place: Place, admin: dict[str, Any]) -> None:
        super().__init__(place, admin)
        self.place.settings |= {"OLD": OLD, "NEW": NEW, "OFFICE": OFFICE}
        self.resources: dict[str, list[str]] = {}
        self.clients: dict[str, dict[str, Any]] = {}

    def apply(self) -> None:
        """Apply the file; where secrets overlap twice, for the second time changes nothing."""
        kept = {"client_id": "admin", "grants": self.admin["grants"]}
        clients = [kept, *({"client_id": name} | each for name, each in self.clients.items())]
        resources = [{"resource": uri, "scopes": each} for uri, each in self.resources.items()]
        # JSON is YAML.
        text = json.dumps({"resources": resources, "clients": clients})
        (self.place.folder / "registry.yaml").write_text(text)
        self.run("apply", "registry.yaml", "--prune")
        if "till" in self.clients and len(self.clients["till"]["secrets"]) == 2:
            assert not document(self.run("apply", "registry.yaml", "--prune", "--json"))["changed"]

    def create(self) -> None:
        self.resources = {ORDERS: ["read", "ship"], BILLING: ["bill"]}
        self.apply()

    def grant(self) -> None:
        self.clients = {
            "till": {
                "grants": [{"resource": ORDERS, "scope": "read ship"}],
                "secrets": [{"env": "OLD"}],
            },
            "office": {
                "grants": [{"resource": BILLING, "scope": "bill"}],
                "secrets": [{"env": "OFFICE"}],
            },
        }
        self.apply()

    def rotate_secret(self) -> None:
        self.clients["till"]["secrets"] = [{"env": "OLD"}, {"env": "NEW"}]
        self.apply()
        self.clients["till"]["secrets"] = [{"env": "NEW"}]
        self.apply()

    def move_scope(self) -> None:
        self.resources = {ORDERS: ["read"], BILLING: ["bill", "ship"]}
        self.clients["till"]["grants"] = [
            {"resource": ORDERS, "scope": "read"},
            {"resource": BILLING, "scope": "ship"},
        ]
        self.apply()

    def disable(self) -> None:
        self.clients["office"]["disabled"] = True
        self.apply()

    def delete(self) -> None:
        del self.clients["till"]
        self.apply()


# What the registry holds after each day, beside what is the provider's own.
AFTER: list[dict[str, Any]] = [
    {ORDERS: "read ship", BILLING: "bill"},
    {"till": {ORDERS: "read ship"}, "office": {BILLING: "bill"}},
    {},
    {ORDERS: "read", BILLING: "bill ship", "till": {ORDERS: "read", BILLING: "ship"}},
    {"office": "disabled"},
    {"till": None},
    {"till": {ORDERS: "read", BILLING: "ship"}},
]


def holds(place: Place) -> dict[str, Any]:
    """Read what the registry holds, in the words of `AFTER`."""
    url = f"sqlite:///{place.folder / 'data' / 'registry.db'}"
    with closing(Registry.open(url, now=lambda: 0)) as registry:
        resources = [describe_resource(each.resource) for each in registry.list_resources()]
        clients = [describe_client(each, 0) for each in registry.list_clients()]
    found: dict[str, Any] = {
        each["resource"]: " ".join(sorted(each["scopes"]))
        for each in resources
        if not each["resource"].startswith(place.url)
    }
    for each in clients:
        if each["client_id"] != "admin":
            grants = {grant["resource"]: grant["scope"] for grant in each["grants"]}
            found[each["client_id"]] = "disabled" if each["disabled"] else grants
    return found


def lets_in(place: Place, client_id: str, secret: str) -> bool:
    """Tell whether a client gets a token with a secret."""
    status = place.ask({"client_id": client_id, "client_secret": secret}).status_code
    assert status in (200, 401)
    return status == 200


# Who gets tokens after each day: the till with its old and its new secret, and the office.
LET_IN = [
    (False, False, False),
    (True, False, True),
    (False, True, True),
    (False, True, True),
    (False, True, False),
    (False, False, False),
    (False, True, False),
]


@contextmanager
def provider(folder: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Run a provider with a client that may administer it."""
    place = make_place(folder, RESTORED=NEW)
    place.add_key()
    scopes = " ".join(ADMIN_SCOPES)
    grant = f"{place.url}/admin/api/v1 {scopes}"
    admin = place.json("clients", "create", "admin", "--grant", grant)
    with running(place):
        yield place, admin


def keep(place: Place) -> None:
    """Keep a file of Thursday's registry, to which the till's secret is added by reference."""
    exported = place.run("export").stdout
    lines = exported.splitlines()
    start = lines.index("- client_id: till")
    lines[start + 1 : start + 1] = ["  secrets:", "  - env: RESTORED"]
    # The office was disabled on Friday, and shall stay so.
    lines.insert(lines.index("- client_id: office") + 1, "  disabled: true")
    (place.folder / "kept.yaml").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("way", [ByCommand, ByCommandThroughServer, OverHttp, ByFile])
def test_a_week_has_one_result_whichever_way_it_is_done(tmp_path: Path, way: type[Week]) -> None:
    """After each day the registry holds the same, and the same clients get tokens."""
    expected: dict[str, Any] = {}
    with provider(tmp_path) as (place, admin):
        week = way(place, admin)
        for number, day in enumerate(week.days()):
            day()
            changed = expected | AFTER[number]
            expected = {name: value for name, value in changed.items() if value is not None}
            assert holds(place) == expected, day
            wanted = LET_IN[number]

            def let_in() -> tuple[bool, bool, bool]:
                till = (lets_in(place, "till", secret) for secret in (OLD, NEW))
                return (*till, lets_in(place, "office", OFFICE))

            assert eventually(lambda wanted=wanted: let_in() == wanted, within=2), (day, let_in())
            if day == week.move_scope:
                keep(place)
        trail = place.json("audit", "list", "--target", "till")["entries"]
    actions = [each["action"] for each in trail]
    assert actions.count("client.created") == 2
    assert actions.count("client.deleted") == 1
    assert {"secret.added", "secret.revoked", "client.updated"} <= set(actions)
