"""The tutorial of an operator's week can be typed as it stands."""

import re
from pathlib import Path

from tests.support.command import run_shell

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial" / "operators-week.md").read_text()
DAYS = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_week_can_be_typed(tmp_path: Path) -> None:
    """Seven days, each command as it stands; only the id of the old secret is looked up."""
    assert len(DAYS) == 7
    first = 'import json, sys; print(json.load(sys.stdin)["secrets"][0]["secret_id"])'
    old = f"$(watchword clients secrets list till --json | python3 -c '{first}')"
    script = "set -e\n" + "".join(DAYS).replace("SECRET_ID", old)
    done = run_shell(tmp_path, script)
    assert done.returncode == 0, done.stderr
    shown = run_shell(tmp_path, "watchword clients list")
    assert re.search(r"till +read ship .*enabled", shown.stdout), shown.stdout
    assert re.search(r"office +bill .*enabled", shown.stdout)
