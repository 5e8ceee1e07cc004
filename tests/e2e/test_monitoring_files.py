"""The dashboard and the alert rules in deploy/ ask for metrics, labels and values that exist."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from issuer.errors import Reason
from tests.support.forked import ROOT
from tests.support.provider import make_place, running
from watchword.metrics import METRICS

RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "watchword.json").read_text())
EVENTS = (ROOT / "docs" / "reference" / "events.md").read_text()

NAME = re.compile(r"\b(?:watchword|process)_\w+")
SELECTOR = re.compile(r"(\w+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(?:=~|!=|=)"([^"]*)"')
GROUPS = re.compile(r"\bby \(([\w, ]*)\)")
OF_TARGETS = {"instance", "job"}
"""Labels that Prometheus itself gives."""


def alerts() -> list[dict[str, Any]]:
    """Return the rules."""
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def shown() -> list[str]:
    """Return the expressions of the dashboard."""
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def labels(name: str) -> set[str]:
    """Return the labels that a metric has once it is scraped."""
    bucket = name.removesuffix("_bucket")
    own = {"le"} if bucket != name else {*METRICS[bucket].labels} if bucket in METRICS else set()
    return own | OF_TARGETS


def test_every_metric_is_in_a_scrape(tmp_path: Path) -> None:
    """A metric that was renamed would leave a panel empty, and an alert silent."""
    place = make_place(tmp_path, WATCHWORD_DRAIN_SECONDS="0")
    place.add_key()
    with running(place):
        text = httpx.get(f"http://127.0.0.1:{place.port}/metrics", trust_env=False).text
    there = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    buckets = {f"{name}_bucket" for name, kind in there.items() if kind == "histogram"}
    variables = [json.dumps(each) for each in DASHBOARD["templating"]["list"]]
    asked = {name for each in (*shown(), *variables) for name in NAME.findall(each)}
    warned = {name for rule in alerts() for name in NAME.findall(rule["expr"])}
    assert len(asked) > 15
    assert len(warned) > 8
    assert asked | warned <= there.keys() | buckets


def test_every_label_and_value_exists() -> None:
    """What selects and groups are labels of the metric; reasons and events are of those we know."""
    for expression in (*shown(), *(rule["expr"] for rule in alerts())):
        metrics = NAME.findall(expression)
        for groups in GROUPS.findall(expression):
            assert set(groups.split(", ")) <= set.union(*map(labels, metrics)), expression
        for name, matchers in SELECTOR.findall(expression):
            for label, value in MATCHER.findall(matchers):
                assert label in labels(name), expression
                if label == "outcome":
                    assert set(value.split("|")) <= {*Reason, "issued"}, expression
                if label == "event":
                    assert f"</a>`{value}` |" in EVENTS, expression


def test_every_alert_says_what_to_do() -> None:
    """And how urgent it is."""
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description"}


def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    """Its own checker reads the rules, and the dashboard's expressions as if they were rules."""
    if shutil.which("promtool") is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("needs promtool: apt-get install prometheus")
    panels = [expression.replace("$__rate_interval", "5m") for expression in shown()]
    rules = [{"record": f"panel:{n}", "expr": each} for n, each in enumerate(panels)]
    written = tmp_path / "dashboard.yaml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    command = ["promtool", "check", "rules", str(RULES), str(written)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
