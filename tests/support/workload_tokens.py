"""Tokens that platforms give to workloads, in their true shapes, signed with a key of the tests.

The claims are those of the platforms' documentation, with names, numbers and times changed.
"""

from typing import Any

from issuer.registry.federated_identity import GITHUB
from watchword.testing.forge import NOW, TokenForge, dump

AUDIENCE = "https://auth.example"
CLUSTER = "https://kubernetes.default.svc.cluster.local"
TRUST_DOMAIN = "spiffe://example.org"

KUBERNETES: dict[str, Any] = {
    "aud": [AUDIENCE],
    "exp": NOW + 3607,
    "iat": NOW,
    "iss": CLUSTER,
    "jti": "ea28ed49-2e11-4280-9ec5-bc3d1d84661a",
    "kubernetes.io": {
        "namespace": "prod",
        "node": {"name": "node-1", "uid": "58456cb0-dd00-45ed-b797-5578fdceaced"},
        "pod": {"name": "orders-69cbfb9798-jv9gn", "uid": "778a530c-b3f4-47c0-9cd5-ab018fb64f33"},
        "serviceaccount": {"name": "orders", "uid": "a087d5a0-e1dd-43ec-93ac-f13d89cd13af"},
    },
    "nbf": NOW,
    "sub": "system:serviceaccount:prod:orders",
}
"""A projected service account token of Kubernetes 1.32; its header has no `typ`."""

GITHUB_ACTIONS: dict[str, Any] = {
    "jti": "example-id",
    "sub": "repo:octocat@583231/shop@1296269:environment:production",
    "environment": "production",
    "aud": AUDIENCE,
    "ref": "refs/heads/main",
    "sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
    "repository": "octocat/shop",
    "repository_owner": "octocat",
    "repository_visibility": "private",
    "repository_id": "1296269",
    "repository_owner_id": "583231",
    "actor": "octocat",
    "actor_id": "583231",
    "run_id": "6281384421",
    "run_number": "10",
    "run_attempt": "2",
    "runner_environment": "github-hosted",
    "workflow": "deploy",
    "workflow_ref": "octocat/shop/.github/workflows/deploy.yml@refs/heads/main",
    "job_workflow_ref": "octocat/shop/.github/workflows/deploy.yml@refs/heads/main",
    "event_name": "workflow_dispatch",
    "head_ref": "",
    "base_ref": "",
    "ref_type": "branch",
    "ref_protected": "true",
    "iss": GITHUB,
    "nbf": NOW - 600,
    "iat": NOW,
    "exp": NOW + 300,
}
"""A token of a GitHub Actions job of a repository made after July 2026."""

SVID: dict[str, Any] = {
    "aud": [AUDIENCE],
    "exp": NOW + 300,
    "iat": NOW,
    "sub": f"{TRUST_DOMAIN}/orders",
}
"""A JWT-SVID as SPIRE makes it; its `iss` is optional and left out."""


def signed(forge: TokenForge, claims: dict[str, Any], **header: object) -> str:
    """Sign the claims as they are, under a header without `typ` but for what is named."""
    members = {"alg": forge.jwk.alg, "kid": forge.jwk.kid, **header}
    return forge.raw(dump(members), dump(claims)).decode()


def bundle(forge: TokenForge) -> dict[str, Any]:
    """Return the bundle of the trust domain: its key for JWT-SVIDs, and one for X.509-SVIDs."""
    key = {name: value for name, value in forge.jwk.members().items() if name != "alg"}
    return {
        "spiffe_sequence": 1,
        "spiffe_refresh_hint": 300,
        "keys": [{**key, "use": "x509-svid", "x5c": ["MII"]}, {**key, "use": "jwt-svid"}],
    }
