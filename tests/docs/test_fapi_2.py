"""The page on FAPI 2.0 shows how an API keeps to it."""

import re
from pathlib import Path
from typing import Any

import pytest

from issuer.profile import FAPI2
from resource_api.status_list import StatusList
from tests.support.bound_tokens import SENDER, send
from tests.support.dpop import ProofForge
from tests.support.listed_api import Lists
from tests.support.protected_api import ProtectedApi
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, TokenForge
from watchword.testing.keys import private_key
from watchword.testing.status_lists import pack, status

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "fapi-2.md").read_text()
FORGE = TokenForge(private_key("ES256"), alg="ES256")
LIST = f"{ISSUER}/status-lists/1"
LISTED = StatusList(pack((0, 1), 1), 1, issued_at=NOW, expires_at=NOW + 60, ttl=8)
GOOD = {"cnf": {"jkt": SENDER.jkt}, "status": status(LIST, 0)}


def named_by_page() -> dict[str, Any]:
    """Run the snippet of the page with the names of these tests."""
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for theirs, ours in {
        "https://auth.example.com": ISSUER,
        "https://orders.example.com": RESOURCE,
    }.items():
        snippet = snippet.replace(theirs, ours)
    names: dict[str, Any] = {"api": None}
    exec(snippet, names)
    return names


@pytest.mark.rfc("fapi-5.3.4-1", "fapi-5.4-1")
@pytest.mark.parametrize(
    ("changes", "forge", "reason"),
    [
        ({}, FORGE, None),
        ({"cnf": DROP}, FORGE, "binding_required"),
        ({"status": DROP}, FORGE, "status_required"),
        ({"status": status(LIST, 1)}, FORGE, "token_revoked"),
        ({"exp": NOW - 60, "iat": NOW - 90}, FORGE, "expired"),
        ({}, TokenForge(private_key("RS256")), "wrong_algorithm"),
    ],
)
async def test_the_api_of_the_page(
    changes: dict[str, Any], forge: TokenForge, reason: str | None
) -> None:
    """It takes a bound token that was not revoked, by the algorithms of the profile alone."""
    names = named_by_page()
    assert names["ALGORITHMS"] == FAPI2.token_algorithms == FAPI2.proof_algorithms
    api = ProtectedApi(
        forge, policy=names["policy"], binding=names["binding"], status_lists=Lists(LISTED)
    )
    token = forge.token(**{**GOOD, **changes})
    scheme = b"Bearer " if changes.get("cnf") is DROP else b"DPoP "
    await send(api, token, SENDER.proof(token=token), scheme=scheme)
    assert (api.reason if reason else None) == reason
    assert bool(api.reached) is (reason is None)


@pytest.mark.rfc("fapi-5.4-1")
async def test_a_proof_of_rs256_is_refused() -> None:
    """Though the token is one of the profile."""
    names = named_by_page()
    sender = ProofForge("RS256", method=SENDER.method, url=SENDER.url)
    api = ProtectedApi(
        FORGE, policy=names["policy"], binding=names["binding"], status_lists=Lists(LISTED)
    )
    token = FORGE.token(**{**GOOD, "cnf": {"jkt": sender.jkt}})
    await send(api, token, sender.proof(token=token), scheme=b"DPoP ")
    assert api.reason == "proof_algorithm"
