"""Pages for operators can be typed as they stand, and print what they say."""

import json
import re
from pathlib import Path

import pytest
from cryptography import x509

from tests.support.certificates import Authority
from tests.support.command import run_shell
from tests.support.fronts import fill_sample
from tests.support.nginx import sample_nginx
from tests.support.provider import Place, eventually, free_port, make_place, running

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
CHECKLIST = (HOW_TO / "production-checklist.md").read_text()


class Machine:
    """A machine whose folders and port are those of the pages."""

    def __init__(self, folder: Path, page: str) -> None:
        (folder / "key-passphrase").write_text("correct horse battery staple")
        self.place: Place = make_place(folder)
        self._here = {
            "/var/lib/watchword": str(folder / "data"),
            "/etc/watchword": str(folder),
            "/var/log/watchword.log": str(folder / "log"),
            "/var/backups": str(folder),
            "/var/tmp": str(folder),
            "127.0.0.1:8080": f"127.0.0.1:{self.place.port}",
            "9464": str(free_port()),
        }
        exports = re.findall(r"^export (\w+)=(\S+)$", page, flags=re.MULTILINE)
        self.place.settings |= {name: self._localized(value) for name, value in exports}

    def _localized(self, text: str) -> str:
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text

    def type_in(self, command: str) -> str:
        """Type a line of a page; return what it prints on standard output."""
        line = self._localized(command)
        return run_shell(self.place.folder, line, **self.place.own_settings()).stdout

    def check(self, line_of_list: str, before: str = "") -> None:
        """Type the commands of a line of the checklist; each prints what the page says.

        Args:
            line_of_list: with its blocks.
            before: what is typed before each command.
        """
        typed = commands(line_of_list)
        assert typed, line_of_list
        for command, printed in typed:
            assert self.type_in(before + command).rstrip() == printed.rstrip(), command


def commands(text: str) -> list[tuple[str, str]]:
    """Return the commands of a page's console blocks, each with what it prints."""
    typed = []
    for block in re.findall(r"^ *```console\n(.*?)^ *```$", text, flags=re.DOTALL | re.MULTILINE):
        indent = " " * (len(block) - len(block.lstrip(" ")))
        for part in re.split(rf"^{indent}\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            lines = (line.removeprefix(indent) for line in printed.splitlines())
            typed.append((command, "".join(f"{line}\n" for line in lines)))
    return typed


LINES = re.findall(r"^\d+\. .*?(?=^\d+\. |^## |\Z)", CHECKLIST, flags=re.DOTALL | re.MULTILINE)
ON_THE_SERVER, FROM_OUTSIDE, REACHED = LINES[:15], LINES[15:19], LINES[19:]


def test_each_line_of_the_checklist_prints_what_it_says(tmp_path: Path) -> None:
    """With the settings of the page; no line is without a command."""
    machine = Machine(tmp_path, CHECKLIST)
    assert machine.place.run("keys", "generate").returncode == 0
    assert [int(line.partition(".")[0]) for line in LINES] == [*range(1, 21)]
    with running(machine.place):
        count = "watchword keys list --json | grep -c kid"
        assert eventually(lambda: machine.type_in(count).strip() == "2")
        for line in ON_THE_SERVER:
            machine.check(line)
    assert not (tmp_path / "watchword-restored").exists()


def test_a_command_that_fails_passes_no_line_of_the_checklist(tmp_path: Path) -> None:
    """Such as with a setting that there is not: nothing that is expected is printed."""
    machine = Machine(tmp_path, CHECKLIST)
    machine.place.add_key()
    machine.place.settings["WATCHWORD_ISUER"] = "x"
    typed = [each for line in (*ON_THE_SERVER, *REACHED) for each in commands(line)]
    ours = [each for each in typed if "watchword " in each[0]]
    assert len(ours) == 7
    for command, printed in ours:
        assert machine.type_in(command).rstrip() != printed.rstrip(), command


def test_the_checklist_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the sample of nginx, with the location that the page adds."""
    machine = Machine(tmp_path, CHECKLIST)
    machine.place.add_key()
    machine.place.settings["WATCHWORD_CONSOLE"] = "on"  # which the location is to hide
    authority = Authority(tmp_path)
    name = x509.SubjectAlternativeName([x509.DNSName("auth.example.com")])
    (location,) = re.findall(r"^ *(location .*)$", CHECKLIST, flags=re.MULTILINE)
    metrics = "location = /metrics {"

    def fill(sample: str, replaced: dict[str, str]) -> str:
        return fill_sample(sample, replaced | {metrics: f"{location}\n{metrics}"})

    monkeypatch.setattr("tests.support.nginx.fill_sample", fill)
    with (
        running(machine.place),
        sample_nginx(tmp_path, machine.place.port, authority.issue("front", name)) as url,
    ):
        to = url.removeprefix("https://")
        options = f"--noproxy '*' --interface 127.0.0.9 --cacert {authority.file}"
        options += f" --connect-to auth.example.com:443:{to}"

        def curl_at(host: str) -> str:
            """Have curl find the provider's own ports at an address of this machine."""
            ports = (("8080", machine.place.port), ("9464", "9464"))
            own = " ".join(f"--connect-to auth.example.com:{a}:{host}:{b}" for a, b in ports)
            return f'curl() {{ command curl {options} {own} "$@"; }}; '

        for line in FROM_OUTSIDE:
            machine.check(line, before=curl_at("127.0.0.9"))
        ((past_the_proxy, _),) = commands(FROM_OUTSIDE[1])
        assert "000" not in machine.type_in(curl_at("127.0.0.1") + past_the_proxy)
        address = commands(ON_THE_SERVER[4])[1][0]
        assert eventually(lambda: machine.type_in(address) == '"address":"127.0.0.9"\n')


def test_the_checklist_where_the_issuer_can_be_reached(tmp_path: Path) -> None:
    """Then there is no finding."""
    machine = Machine(tmp_path, CHECKLIST)
    machine.place.settings["WATCHWORD_ISSUER"] = machine.place.url
    assert machine.place.run("keys", "generate").returncode == 0
    with running(machine.place):
        (line,) = REACHED
        assert eventually(lambda: "pending" in machine.type_in("watchword keys list"))
        machine.check(line)


def test_an_upgrade_can_be_typed(tmp_path: Path) -> None:
    """The commands for one machine, on a registry that is up to date already."""
    page = (HOW_TO / "upgrade.md").read_text()
    machine = Machine(tmp_path, CHECKLIST)
    assert machine.place.run("keys", "generate").returncode == 0
    assert machine.place.run("clients", "create", "billing").returncode == 0
    for command, printed in commands(page):
        assert machine.type_in(command) == printed, command


def test_a_leaked_secret_is_dealt_with_as_the_page_says(tmp_path: Path) -> None:
    """The old secret is refused, its tokens are revoked, and the new secret works."""
    page = (HOW_TO / "a-client-secret-has-leaked.md").read_text()
    machine = Machine(tmp_path, "")
    place = machine.place
    place.add_key()
    client = place.json("clients", "create", "billing", "--scope", "read")
    with running(place):
        token = place.ask(client).json()["access_token"]
        assert eventually(lambda: "token.issued" in str(place.log()))
        (issued,) = [line for line in place.log() if line["event"] == "token.issued"]
        said = ""
        for command, _ in commands(page):
            line = command.replace("SECRET_ID", issued["secret_id"])
            done = place.run(*line.split()[1:], *(["--json"] if " add " in line else []))
            assert done.returncode == 0, done.stderr
            said = done.stdout if " add " in line else said
        assert eventually(lambda: place.ask(client).status_code == 401)
        assert place.ask(client | json.loads(said)).status_code == 200
        refused = place.run("token", "explain", token, "--resource", place.url)
        assert "token_revoked" in refused.stdout + refused.stderr


def test_what_the_troubleshooting_names_exists() -> None:
    """Events, reasons, settings and commands; nothing is looked for in vain."""
    page = (HOW_TO / "troubleshoot.md").read_text()
    reference = HOW_TO.parent / "reference"
    known = "".join(
        (reference / name).read_text()
        for name in ("events.md", "reasons.md", "settings.md", "http.md", "cli.md")
    )
    code = set(re.findall(r"`([a-z_]+\.[a-z_]+|[a-z]+_[a-z_]+|WATCHWORD_\w+)`", page))
    assert len(code) > 40
    assert [word for word in sorted(code) if f"`{word}`" not in known] == []
