"""What the page on testing an API says is run: its tests in a pytest of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from watchword.testing import faults

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "test-your-api.md").read_text()
(SETTINGS,) = re.findall(r"```ini\n(.*?)```", PAGE, flags=re.DOTALL)
SHOP, TESTS, SECOND, CLOCK, CALLER = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


ONE = 'Bearer(issuer="https://auth.example.com", resource="https://orders.example.com")'
TWO = """Bearer(
    resource="https://orders.example.com",
    issuers=[
        ResourcePolicy(issuer="https://auth.example.com", resource="https://orders.example.com"),
        ResourcePolicy(
            issuer="https://sso.example.com/realms/demo", resource="orders-api", profile="keycloak"
        ),
    ],
)"""


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    """The plugin is found without being named; the API trusts a second issuer as well."""
    assert ONE in SHOP
    shop = dedent(SHOP).replace(ONE, TWO).replace("AccessToken\n", "AccessToken, ResourcePolicy\n")
    tests = dedent(TESTS) + dedent(SECOND)
    for name, text in {"shop.py": shop, "test_shop.py": tests, "pytest.ini": SETTINGS}.items():
        (tmp_path / name).write_text(dedent(text))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout


def test_an_api_goes_by_the_clock_of_the_issuer() -> None:
    """The snippet asserts for itself."""
    exec(CLOCK, {})


def test_a_caller_gets_tokens_and_refusals() -> None:
    """The snippet asserts for itself."""
    exec(CALLER, {})


def test_the_page_names_every_endpoint() -> None:
    """What can be made to fail."""
    assert all(f"`{name}`" in PAGE or f'"{name}"' in PAGE for name in faults.ENDPOINTS)
