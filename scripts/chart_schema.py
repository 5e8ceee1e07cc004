"""Write values.schema.json of the Helm chart: what its values, settings among them, may be.

With ``--digest`` print a digest of all else in the chart: was it changed since it was rendered?
"""

import json
import sys
from hashlib import sha256
from typing import Any, get_args

from scripts.generated import ROOT, write_or_check
from watchword.setting_sources import SECRETS
from watchword.setting_values import Seconds
from watchword.settings import Settings

CHART = "deploy/helm/watchword"
SCHEMA = "values.schema.json"
DECIDED_BY_THE_CHART = {"issuer", "host", "port", "data_dir", "key_store", "metrics_port", *SECRETS}
NOT_IN_A_POD = {"api", "client_id", "pkcs11_module", "pkcs11_token", "tls_cert", "tls_key"}
"""For commands alone, or for files that the chart has no volume for."""

DURATION = {"type": "string", "pattern": "^[0-9]+[smhdw]$"}
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253}
IMAGE = {
    "repository": {"type": "string", "pattern": "^[a-z0-9][a-z0-9./:_-]*$"},
    "tag": {"type": "string", "pattern": "^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"},
    "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
}
SERVICE_MONITOR = {
    "enabled": {"type": "boolean"},
    "interval": {"type": "string", "pattern": "^[1-9][0-9]*(s|m)$"},
    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
}


def write_schema() -> str:
    """Write the schema as JSON."""
    values = {
        "issuer": {"type": "string", "pattern": "^https://[^/?#\\s]+(/[^?#\\s]*[^/?#\\s])?$"},
        "image": _closed(IMAGE),
        "replicas": {"type": "integer", "minimum": 1},
        "secret": NAME,
        "settings": _closed(_settings()) | {"required": ["drain_seconds"]},
        "resources": {"type": "object"},
        "serviceMonitor": _closed(SERVICE_MONITOR),
        "global": {"type": "object"},  # Helm adds it
    }
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_closed(values),
        "required": ["issuer", "image", "replicas", "secret", "settings"],
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _settings() -> dict[str, Any]:
    left_out = DECIDED_BY_THE_CHART | NOT_IN_A_POD
    unavailable = "not available yet"
    rules = {}
    for name, rule in Settings.model_json_schema()["properties"].items():
        if name in left_out or rule["description"] == unavailable:
            continue
        rules[name] = {key: value for key, value in rule.items() if key not in ("title", "default")}
        if get_args(Seconds)[1] in Settings.model_fields[name].metadata:
            bounds = {
                key: rules[name].pop(key) for key in ("type", "minimum", "maximum") if key in rule
            }
            rules[name]["anyOf"] = [bounds, DURATION]
    return rules


def chart_digest() -> str:
    """Return a digest of the files that the chart is rendered from."""
    digest = sha256()
    for path in sorted((ROOT / CHART).rglob("*.*")):
        if path.name != SCHEMA:
            digest.update(f"{path.name}\n{path.read_text(encoding='utf-8')}".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    if sys.argv[1:] == ["--digest"]:
        sys.exit(print(chart_digest()))
    sys.exit(write_or_check(f"{CHART}/{SCHEMA}", write_schema()))
