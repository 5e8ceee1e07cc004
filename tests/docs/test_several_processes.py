"""What the page on several processes says is run, with processes that are forked and spawned."""

import os
import re
import subprocess
import sys
from pathlib import Path

from consumer import ClientCredentials
from watchword.testing import Issuer, listening

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "several-processes.md").read_text()
SHARED, REDIS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
MAIN = """
if __name__ == "__main__":
    import sys

    print(run(sys.argv[1]))
"""


def test_processes_share_one_token(tmp_path: Path) -> None:
    """Forked and spawned ones: the issuer is asked once by all of them together."""
    # A pool ends its workers by SIGTERM, and coverage's handler may then wait for a lock for ever.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    with listening() as issuer:
        source = SHARED.replace("https://auth.example.com", issuer.url)
        source = source.replace("/run/billing/tokens", str(tmp_path / "tokens"))
        (tmp_path / "work.py").write_text(source + MAIN)
        for method in ("fork", "spawn"):
            done = subprocess.run(
                [sys.executable, str(tmp_path / "work.py"), method],
                env=environment | {"PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
        assert issuer.requests["token"] == 1


class Redis:
    """Answers to the three commands of the page as redis-py does."""

    def __init__(self) -> None:
        self.held: dict[str, object] = {}

    def get(self, name: str) -> object:
        """Give what is there."""
        return self.held.get(name)

    def set(self, name: str, value: object, *, px: int, nx: bool = False) -> bool | None:
        """Keep a value, with `nx` only where there is none."""
        assert px > 0
        if nx and name in self.held:
            return None
        self.held[name] = value
        return True

    def eval(self, script: str, keys: int, name: str, mine: object) -> None:
        """Do what the script of the page does."""
        assert (script.count("redis.call"), keys) == (2, 1)
        if self.held.get(name) == mine:
            del self.held[name]


def test_a_store_in_redis_is_shared() -> None:
    """A second caller gets what the first one saved, and no lock is left."""
    names: dict[str, type] = {}
    exec(REDIS, names)
    redis = Redis()
    issuer = Issuer("https://auth.example.com")
    with issuer.serving():
        # Not made with the same arguments, so that they share nothing but the store.
        callers = [
            ClientCredentials(
                issuer.url, "billing", "SECRET", timeout=timeout, store=names["RedisTokens"](redis)
            )
            for timeout in (5, 6)
        ]
        tokens = {each.token().value for each in callers}
    assert len(tokens) == issuer.requests["token"] == 1
    assert [name.partition(":")[0] for name in redis.held] == ["token"]
