"""The pytest plugin, as another project has it: in a pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path

SETTINGS = """
[pytest]
watchword_issuer = https://auth.example.com
watchword_audience = https://orders.example.com
"""
TEST = """
import httpx

def test_one(watchword_issuer):
    assert watchword_issuer.url == "https://auth.example.com"
    assert watchword_issuer.audience == "https://orders.example.com"
    assert httpx.get("https://auth.example.com/jwks").json()["keys"]
"""
UNUSED = """
import sys

def test_nothing_is_loaded():
    heavy = {"httpx", "cryptography", "jwt", "resource_api", "issuer", "consumer", "asyncio"}
    assert not heavy & {name.partition(".")[0] for name in sys.modules}
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the pytest of another project, with no plugin of ours but this one."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments],
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_fixture_gives_the_issuer_that_the_settings_name(tmp_path: Path) -> None:
    """It answers at its URL while the test runs."""
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "test_one.py").write_text(TEST)
    done = run_pytest(tmp_path, "-p", "watchword.testing.plugin")
    assert done.returncode == 0, done.stdout


def test_an_option_that_cannot_be_is_named(tmp_path: Path) -> None:
    """In a line, without a traceback through our modules."""
    (tmp_path / "pytest.ini").write_text(SETTINGS.replace("https://auth", "auth"))
    (tmp_path / "test_one.py").write_text(TEST)
    done = run_pytest(tmp_path, "-p", "watchword.testing.plugin")
    assert done.returncode == 1
    assert "the option watchword_issuer must be an absolute URL" in done.stdout
    assert "Traceback" not in done.stdout
    assert "identifiers.py" not in done.stdout


def test_a_suite_without_the_fixture_loads_nothing(tmp_path: Path) -> None:
    """The plugin is loaded wherever watchword is installed, and costs nothing there."""
    (tmp_path / "test_none.py").write_text(UNUSED)
    done = run_pytest(tmp_path, "-p", "watchword.testing.plugin", "-p", "no:anyio")
    assert done.returncode == 0, done.stdout


def test_the_plugin_is_installed(watchword_issuer: object) -> None:
    """The entry point is in place: this project's own pytest has the fixture."""
    assert type(watchword_issuer).__name__ == "Issuer"
