"""What is in deploy/ fits the product: settings, probes, hardening, and values that cannot be."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from scripts.chart_schema import CHART, chart_digest
from tests.support.deployment import RENDERED_CHART, read_unit
from tests.support.forked import ROOT
from watchword.process.server import GRACE_SECONDS
from watchword.setting_sources import PREFIX, SECRETS
from watchword.settings import Settings

UNIT = ROOT / "deploy" / "systemd" / "watchword.service"
NO_SETTINGS = {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}
GOOD = {"issuer": "https://auth.example.com"}
CANNOT_BE = [
    {"issuer": ""},
    {"issuer": "http://auth.example.com"},
    {"issuer": "https://auth.example.com/"},
    {"issuer": "https://auth.example.com?a=b"},
    {"replicas": 0},
    {"replicas": "two"},
    {"replica": 2},
    {"secret": "Not_A_Name"},
    {"image": {"pull": "Always"}},
    {"image": {"pullPolicy": "Sometimes"}},
    {"settings": {"token_ttl": 0}},
    {"settings": {"token_ttl": "soon"}},
    {"settings": {"token_tll": 600}},
    {"settings": {"key_passphrase": "in the clear"}},
    {"settings": {"issuer": "https://other.example.com"}},
    {"settings": {"drain_seconds": None}},
    {"serviceMonitor": {"interval": "soon"}},
]
helm = shutil.which("helm")


def merged(values: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Put values over others, as Helm does."""
    result = dict(values)
    for name, value in more.items():
        within = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = merged(result[name], value) if within else value
    return result


def mistakes(values: dict[str, Any]) -> list[str]:
    """Return what the schema of the chart says of its own values with these over them."""
    schema = json.loads((ROOT / CHART / "values.schema.json").read_text())
    own = yaml.safe_load((ROOT / CHART / "values.yaml").read_text())
    found = jsonschema.Draft7Validator(schema).iter_errors(merged(merged(own, GOOD), values))
    return [error.message for error in found]


def test_every_variable_in_the_files_is_a_setting() -> None:
    """Unknown ones are refused when the server starts."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | NO_SETTINGS
    files = [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    named = {
        name for path in files for name in re.findall(r"WATCHWORD_[A-Z_]+\b", path.read_text())
    }
    assert {"WATCHWORD_ISSUER", "WATCHWORD_KEY_PASSPHRASE_FILE"} < named
    assert named - known - {"WATCHWORD_"} == set()


@pytest.mark.parametrize("values", [{}, {"replicas": 1}, {"settings": {"token_ttl": "12h"}}])
def test_the_chart_takes_values_that_can_be(values: dict[str, Any]) -> None:
    """Its own, and such as the page names."""
    assert mistakes(values) == []


@pytest.mark.parametrize("values", CANNOT_BE, ids=json.dumps)
def test_the_chart_refuses_values_that_cannot_be(values: dict[str, Any]) -> None:
    """Before anything is installed, with one mistake for each."""
    assert len(mistakes(values)) == 1


@pytest.mark.skipif(helm is None, reason="scripts/deploy-check builds Helm and runs this")
@pytest.mark.parametrize("values", CANNOT_BE, ids=json.dumps)
def test_helm_refuses_values_that_cannot_be(values: dict[str, Any], tmp_path: Path) -> None:
    """By the schema, not by an error of a template."""
    done = run_helm("template", merged(GOOD, values), tmp_path)
    assert done.returncode != 0
    assert "don't meet the specifications of the schema" in done.stderr


@pytest.mark.skipif(helm is None, reason="scripts/deploy-check builds Helm and runs this")
def test_helm_renders_what_is_given(tmp_path: Path) -> None:
    """Settings of each type as the server reads them, and the monitor where it is asked for."""
    settings = {"registry_outage_seconds": 10_000_000, "request_log": True, "drain_seconds": 1.5}
    monitor = {"enabled": True, "labels": {"release": "prometheus"}}
    values = GOOD | {"settings": settings, "serviceMonitor": monitor}

    assert run_helm("lint", values, tmp_path).returncode == 0
    done = run_helm("template", values, tmp_path)

    documents = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
    assert documents["ServiceMonitor"]["metadata"]["labels"]["release"] == "prometheus"
    pod = documents["Deployment"]["spec"]["template"]["spec"]
    environment = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    assert environment["WATCHWORD_REGISTRY_OUTAGE_SECONDS"] == "10000000"
    assert environment["WATCHWORD_REQUEST_LOG"] == "true"
    assert environment["WATCHWORD_DRAIN_SECONDS"] == "1.5"
    assert pod["terminationGracePeriodSeconds"] == 37


def run_helm(verb: str, values: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the real Helm on the chart."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    release = ["watchword"] if verb == "template" else []
    command = [str(helm), verb, *release, str(ROOT / CHART), "--values", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_rendered_chart_is_that_of_the_chart() -> None:
    """Other tests run it; `scripts/deploy-check render` writes it anew."""
    assert RENDERED_CHART.read_text().split("\n", 1)[0].endswith(chart_digest())


def pods() -> Iterator[Any]:
    """Yield each pod of the rendered chart."""
    for document in yaml.safe_load_all(RENDERED_CHART.read_text()):
        if document["kind"] in ("Deployment", "Job"):
            yield document["spec"]["template"]["spec"]


def test_every_pod_runs_without_rights() -> None:
    """The server and the jobs alike, with secrets by reference only."""
    assert len(list(pods())) == 3
    for pod in pods():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        named = {each["name"].removeprefix(PREFIX).lower() for each in container["env"]}
        assert not named & set(SECRETS)


def test_the_server_has_time_to_stop() -> None:
    """Whoever kills it waits for the drain and for requests that run."""
    unit = read_unit(UNIT)
    assert int(unit["TimeoutStopSec"][0]) > GRACE_SECONDS
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    assert int(compose["services"]["watchword"]["stop_grace_period"].rstrip("s")) > GRACE_SECONDS
    server = next(pods())
    drain = next(e for e in server["containers"][0]["env"] if e["name"].endswith("DRAIN_SECONDS"))
    assert server["terminationGracePeriodSeconds"] >= GRACE_SECONDS + float(drain["value"]) + 1


def test_the_containers_of_compose_run_without_rights() -> None:
    """But the database, whose image has ways of its own."""
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    for name in ("upgrade", "watchword"):
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]


def test_the_image_is_installed_by_the_lock_and_is_not_roots() -> None:
    """A version that is not in the lock, or has another hash, ends the build."""
    lines = (ROOT / "deploy" / "Containerfile").read_text().splitlines()
    installs = [line for line in lines if '"install", "--' in line and "pip" in line]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--no-deps" in installs[1]
    assert "USER 65532:0" in lines
    assert not [line for line in lines if re.match(r"(RUN|CMD|ENTRYPOINT) [^\[]", line)]
    locked = (ROOT / "requirements" / "server.lock").read_text()
    assert re.search(r"^asyncpg==", locked, flags=re.MULTILINE)


def test_the_unit_is_sound_and_hardened(tmp_path: Path) -> None:
    """As systemd itself sees it; the exposure is 1.2 of 10."""
    if shutil.which("systemd-analyze") is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("needs systemd-analyze: apt-get install systemd")
    unit = tmp_path / "watchword.service"
    unit.write_text(re.sub(r"^ExecStart=.*", "ExecStart=/bin/true", UNIT.read_text(), flags=re.M))
    security = ["security", "--offline=true", "--threshold=15"]
    for words in (["verify"], security):
        command = ["systemd-analyze", *words, str(unit)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
