"""A provider whose resources are named by URIs that are no addresses (RFC 8707 §2)."""

import httpx

from tests.support.provider import make_place, running
from watchword.registry import ADMIN_SCOPES

API, ADMINISTRATION, ORDERS = "urn:example:demo", "api://administration", "http://orders.internal"


def test_any_absolute_uri_names_a_resource(tmp_path):
    """Start, tokens, both APIs and apply work; there is just no RFC 9728 document."""
    place = make_place(
        tmp_path, WATCHWORD_API_RESOURCE=API, WATCHWORD_ADMIN_RESOURCE=ADMINISTRATION
    )
    place.add_key()
    place.json("resources", "create", ORDERS, "--scope", "orders:read")
    root = place.json(
        "clients", "create", "root",
        "--grant", f"{ADMINISTRATION} {' '.join(ADMIN_SCOPES)}",
        "--grant", f"{API} read",
        "--grant", f"{ORDERS} orders:read",
    )  # fmt: skip
    (tmp_path / "registry.toml").write_text('[[resources]]\nresource = "urn:a"\nscopes = ["x"]\n')
    with running(place):
        tokens = {
            each: place.ask(root, resource=each).json()["access_token"]
            for each in (API, ADMINISTRATION, ORDERS)
        }
        refused = place.get("/read-resource")
        assert refused.status_code == 401
        assert "resource_metadata" not in refused.headers["www-authenticate"]
        refused = place.get("/admin/api/v1/resources")
        assert refused.status_code == 401
        assert "resource_metadata" not in refused.headers["www-authenticate"]
        assert place.get("/read-resource", headers=bearer(tokens[API])).status_code == 200
        with httpx.Client(
            base_url=place.url, headers=bearer(tokens[ADMINISTRATION]), trust_env=False
        ) as http:
            shown = http.get("/admin/api/v1/resources").json()["resources"]
            assert {each["resource"] for each in shown} == {API, ADMINISTRATION, ORDERS}
            assert http.get("/admin/api/v1/resources/urn%3Aexample%3Ademo").status_code == 200
            made = http.post("/admin/api/v1/resources", json={"resource": "tag:x", "scopes": ["y"]})
            assert made.status_code == 201
        assert place.get("/openapi.json").status_code == 200
        assert place.run("apply", str(tmp_path / "registry.toml")).returncode == 0


def bearer(token):
    """Carry a token."""
    return {"authorization": f"Bearer {token}"}
