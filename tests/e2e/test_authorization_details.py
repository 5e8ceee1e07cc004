"""Fine-grained rights from registration to the API, over the command line and real sockets."""

import json
from pathlib import Path

import pytest

from keys.jwks import parse_jwk_set
from resource_api import ResourcePolicy, verify
from tests.support.provider import Place, eventually, make_place, running
from watchword.ambient import wall_clock

API = "https://payments.example"
SCHEMA = {"properties": {"actions": {"type": "array", "items": {"enum": ["initiate", "status"]}}}}
DETAILS = [{"type": "payment", "actions": ["status"]}]
OPTION = "--authorization-details"


@pytest.mark.rfc("9396-2-1")
def test_details_go_from_the_registry_to_the_api(tmp_path: Path) -> None:
    """Registered, granted, told in the metadata, asked for, checked, signed, and read again."""
    place = make_place(tmp_path)
    place.add_key()
    schema, asked = tmp_path / "payment.json", tmp_path / "details.json"
    schema.write_text(json.dumps(SCHEMA))
    asked.write_text(json.dumps(DETAILS))
    kind = "--authorization-details-type"
    # Without a status list: `verify` is given the keys alone.
    resource = (API, "--scope", "read", "--no-status-list", kind, f"payment={schema}")
    place.json("resources", "create", *resource)
    granted = ("--resource", API, "--scope", "read", kind, "payment")
    client = place.json("clients", "create", "till", *granted)
    known = {"CLIENT_ID": client["client_id"], "CLIENT_SECRET": client["client_secret"]}
    told = Place(place.folder, place.port, known)
    with running(place):
        token = told.json("token", "get", OPTION, f"@{asked}")
        assert token["authorization_details"] == DETAILS
        plain = told.json("token", "get", OPTION, json.dumps(DETAILS), "--scope", "read")
        assert plain["scope"] == "read"
        metadata = "/.well-known/oauth-authorization-server"
        name = "authorization_details_types_supported"
        assert eventually(lambda: place.get(metadata).json().get(name) == ["payment"])
        refused = told.run("token", "get", OPTION, '[{"type": "payment", "actions": ["steal"]}]')
        assert refused.returncode == 1
        assert "invalid_authorization_details" in refused.stderr
        for text in ("payment", "[{}]", f"@{tmp_path}/no.json"):
            wrong = told.run("token", "get", OPTION, text)
            assert (wrong.returncode, OPTION in wrong.stderr) == (2, True)
        keys = parse_jwk_set(place.get("/jwks").content)
    policy = ResourcePolicy(issuer=place.url, resource=API)
    seen = verify(token["access_token"].encode(), keys, policy, now=wall_clock())
    assert seen.find_details("payment", actions=["status"]) == DETAILS[0]
    assert seen.find_details("payment", actions=["initiate"]) is None
    assert seen.scopes == frozenset()
