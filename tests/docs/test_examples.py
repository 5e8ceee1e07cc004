"""Each example runs by its one command, and its manifest describes what it is."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import pytest
import yaml

from tests.support.forked import start_process
from tests.support.provider import eventually, free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/Procfile"))
# What differs in every run.
_VOLATILE = re.compile(r"(?<=localhost:)\d+|(?<=seconds=)[\d.]+")


def run_example(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Type `scripts/example` in a folder, with foreign settings in the environment."""
    (folder / "scratch").mkdir()
    foreign = {"TMPDIR": str(folder / "scratch"), "WATCHWORD_ISSUER": "https://elsewhere.example"}
    # The examples run no line of the product that other tests do not.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")
    }
    return subprocess.run(
        [ROOT / "scripts" / "example", *arguments],
        cwd=folder,
        env=environment | foreign,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.skipif(
    not (ROOT / ".venv" / ".installed-dev").exists() or Path(sys.prefix) != ROOT / ".venv",
    reason="the environment was not made by scripts/environment",
)
@pytest.mark.parametrize("name", NAMES)
def test_an_example_prints_what_its_page_shows(name: str, tmp_path: Path) -> None:
    """With what the reader has in the environment; and it leaves nothing behind."""
    page = (EXAMPLES / name / "README.md").read_text()
    assert f"`scripts/example {name}`" in page
    (shown,) = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    done = run_example(tmp_path, name)
    assert (done.returncode, done.stderr) == (0, "")
    assert _VOLATILE.sub("…", done.stdout) == _VOLATILE.sub("…", shown)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_unknown_name_is_told_which_there_are(tmp_path: Path) -> None:
    """And nothing is started."""
    done = run_example(tmp_path, "nothing")
    assert done.returncode == 2
    assert done.stderr.split("one of: ")[1].split() == NAMES


def read_manifest() -> dict[str, Any]:
    """Give the pod of the Kubernetes example."""
    documents = yaml.safe_load_all((EXAMPLES / "kubernetes" / "manifest.yaml").read_text())
    kinds = {each["kind"]: each["spec"] for each in documents}
    pod: dict[str, Any] = kinds["Deployment"]["template"]["spec"]
    return pod


def test_the_manifest_sets_what_the_workload_reads() -> None:
    """Every variable, and the secret as a file that is mounted and not as a variable."""
    pod = read_manifest()
    (container,) = pod["containers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    source = (EXAMPLES / "kubernetes" / "invoices.py").read_text()
    assert set(given) == set(re.findall(r'environ\["(\w+)"\]', source))
    (mount,) = container["volumeMounts"]
    (volume,) = pod["volumes"]
    assert mount["name"] == volume["name"]
    assert "secretName" in volume["secret"]
    assert str(PurePosixPath(given["CLIENT_SECRET_FILE"]).parent) == mount["mountPath"]


def test_the_workload_is_probed_and_ended_as_its_manifest_says(tmp_path: Path) -> None:
    """While its issuer is away it lives and is not ready; SIGTERM ends it in time."""
    pod = read_manifest()
    (container,) = pod["containers"]
    port = free_port()
    command = " ".join(container["command"]).replace("0.0.0.0", "127.0.0.1")
    python, *arguments = command.replace("8000", str(port)).split()
    assert (python, arguments.pop(0)) == ("python", "-m")
    (tmp_path / "client-secret").write_text("s3cret\n")
    settings = {each["name"]: each["value"] for each in container["env"]} | {
        "ISSUER": f"http://localhost:{free_port()}",
        "CLIENT_SECRET_FILE": str(tmp_path / "client-secret"),
    }
    with start_process(
        arguments, cwd=EXAMPLES / "kubernetes", env=os.environ | settings, stderr=subprocess.PIPE
    ) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

                def probe(name: str) -> int | None:
                    try:
                        return client.get(container[name]["httpGet"]["path"]).status_code
                    except httpx.ConnectError:
                        return None

                assert eventually(lambda: probe("livenessProbe") == 200)
                assert probe("readinessProbe") == 503
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=pod["terminationGracePeriodSeconds"])
        finally:
            process.kill()
    assert b"Application shutdown complete" in said
    waits = int(arguments[arguments.index("--timeout-graceful-shutdown") + 1])
    waits += container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert waits < pod["terminationGracePeriodSeconds"]
