"""An operator's week: each day in another way, all on one registry that a provider serves."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from issuer.registry.client_description import describe_client
from issuer.registry.resource import describe_resource
from issuer.storage.registry import Registry
from tests.support.command import Done, document, run_command
from tests.support.provider import Place, eventually, make_place, running
from tests.support.registry import RegistryHarness
from watchword.registry import ADMIN_SCOPES

ORDERS, BILLING = "https://orders.example", "https://billing.example"
OLD, NEW, OFFICE = ("wws_" + letter * 43 for letter in "onf")


class Week:
    """What happens on each day."""

    def __init__(self, place: Place, admin: dict[str, Any]) -> None:
        self.place = place
        self.admin = admin
        self.days = [
            self.create_by_command,
            self.grant_over_http,
            self.rotate_secret_by_command_through_the_server,
            self.move_scope_by_file,
            self.disable_by_command_through_the_server,
            self.delete_by_command,
            self.restore_by_file,
        ]

    def run(self, *arguments: str, stdin: str = "", **settings: str) -> Done:
        """Run a command that must succeed."""
        settings = self.place.own_settings() | settings
        done = run_command(self.place.folder, *arguments, stdin=stdin, **settings)
        assert done.returncode == 0, done.stderr
        return done

    def run_through_server(self, *arguments: str, stdin: str = "") -> Done:
        """Run a command that asks the server, as the client that may administer."""
        credentials = {
            "WATCHWORD_CLIENT_ID": self.admin["client_id"],
            "WATCHWORD_CLIENT_SECRET": self.admin["client_secret"],
        }
        return self.run(*arguments, "--server", self.place.url, stdin=stdin, **credentials)

    def create_by_command(self) -> None:
        """Two APIs."""
        self.run("resources", "create", ORDERS, "--scope", "read", "--scope", "ship")
        self.run("resources", "create", BILLING, "--scope", "bill")

    def grant_over_http(self) -> None:
        """Two services, as a script in any language registers them."""
        token = self.place.ask(self.admin).json()["access_token"]
        for name, uri, scope, secret in (
            ("till", ORDERS, "read ship", OLD),
            ("office", BILLING, "bill", OFFICE),
        ):
            grants = [{"resource": uri, "scope": scope}]
            answer = httpx.post(
                f"{self.place.url}/admin/api/v1/clients",
                headers={"authorization": f"Bearer {token}"},
                json={"client_id": name, "grants": grants, "client_secret": secret},
                trust_env=False,
            )
            assert answer.is_success, answer.text

    def rotate_secret_by_command_through_the_server(self) -> None:
        """A second secret, then an end of the first."""
        secrets = ("clients", "secrets")
        listed = document(self.run_through_server(*secrets, "list", "till", "--json"))
        (old,) = (each["secret_id"] for each in listed["secrets"])
        self.run_through_server(*secrets, "add", "till", "--secret-stdin", stdin=NEW + "\n")
        self.run_through_server(*secrets, "revoke", "till", old)

    def move_scope_by_file(self) -> None:
        """In one transaction; the second time nothing changes. Then the registry is kept."""
        file = {
            "resources": [
                {"resource": ORDERS, "scopes": ["read"]},
                {"resource": BILLING, "scopes": ["bill", "ship"]},
            ],
            "clients": [
                {
                    "client_id": "till",
                    "grants": [
                        {"resource": ORDERS, "scope": "read"},
                        {"resource": BILLING, "scope": "ship"},
                    ],
                }
            ],
        }
        # JSON is YAML.
        (self.place.folder / "registry.yaml").write_text(json.dumps(file))
        self.run("apply", "registry.yaml")
        assert not document(self.run("apply", "registry.yaml", "--json"))["changed"]
        keep(self.place)

    def disable_by_command_through_the_server(self) -> None:
        """The office is let in no more."""
        self.run_through_server("clients", "disable", "office")

    def delete_by_command(self) -> None:
        """The till goes."""
        self.run("clients", "delete", "till", "--yes")

    def restore_by_file(self) -> None:
        """Put back what was deleted, from the file that was kept on Thursday."""
        self.run("apply", "kept.yaml")


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
        resources = [
            describe_resource(each.resource) for each in RegistryHarness(registry).list_resources()
        ]
        clients = [describe_client(each, 0) for each in RegistryHarness(registry).list_clients()]
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


@pytest.mark.alone
def test_each_day_has_its_result_in_the_registry_and_at_the_token_endpoint(tmp_path: Path) -> None:
    """After each day the registry holds what it should, and the right clients get tokens."""
    expected: dict[str, Any] = {}
    with provider(tmp_path) as (place, admin):
        for day, after, wanted in zip(Week(place, admin).days, AFTER, LET_IN, strict=True):
            day()
            changed = expected | after
            expected = {name: value for name, value in changed.items() if value is not None}
            assert holds(place) == expected, day

            def let_in() -> tuple[bool, bool, bool]:
                till = (lets_in(place, "till", secret) for secret in (OLD, NEW))
                return (*till, lets_in(place, "office", OFFICE))

            assert eventually(lambda wanted=wanted: let_in() == wanted, within=2), (day, let_in())
        trail = place.json("audit", "list", "--target", "till")["entries"]
    actions = [each["action"] for each in trail]
    assert actions.count("client.created") == 2
    assert actions.count("client.deleted") == 1
    assert {"secret.added", "secret.revoked", "client.updated"} <= set(actions)
