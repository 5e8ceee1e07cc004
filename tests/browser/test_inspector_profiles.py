"""Under a security profile, too, the inspector says what `watchword token explain` says."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from resource_api.confirmation import RequiredBinding
from tests.support.inspected_tokens import DIGEST, FORGE, LIST, STATUSES, TOKENS, VERIFIED
from tests.support.inspector import assert_alike, expect_verdict, open_saved
from watchword.provider import inspector
from watchword.settings import Settings
from watchword.testing.forge import ISSUER, RESOURCE
from watchword.testing.status_lists import list_token, status
from watchword.token_policy import make_token_policy

SETTINGS = Settings(issuer=ISSUER, api_resource=RESOURCE, profile="fapi2")
POLICY = make_token_policy(SETTINGS)
BINDINGS = {
    "to a key": {"jkt": DIGEST},
    "to a certificate": {"x5t#S256": DIGEST},
    "to both": {"jkt": DIGEST, "x5t#S256": DIGEST},
    "to nothing": {},
    "to a short digest": {"jkt": "AAAA"},
}
ES256 = VERIFIED["ES256"]
BOUND = {
    **{f"{alg} unbound": forge.token() for alg, forge in VERIFIED.items()},
    **{
        f"{alg} {name}": forge.token(cnf=cnf)
        for alg, forge in VERIFIED.items()
        for name, cnf in BINDINGS.items()
    },
    **{
        f"status {idx}": ES256.token(cnf=BINDINGS["to a key"], status=status(LIST, idx))
        for idx in range(3)
    },
}


@pytest.fixture
async def saved(page: Page, tmp_path: Path) -> Page:
    """Give the page of an issuer with the profile, saved as a file."""
    return await open_saved(page, tmp_path, SETTINGS)


async def test_every_token_gets_the_verdict_of_token_explain_under_fapi2(saved: Page) -> None:
    """A status list may be signed by any key of the issuer, as there."""
    body = list_token(FORGE, LIST, STATUSES)
    reasons = await assert_alike(saved, TOKENS | BOUND, POLICY, body=body)
    assert reasons["good"] == reasons["RS384 to a key"] == "wrong_algorithm"
    assert reasons["ES256 unbound"] == reasons["PS256 unbound"] == "binding_required"
    assert reasons["ES256 to nothing"] == "invalid_confirmation_claim"
    taken = {name for name, reason in reasons.items() if not reason}
    assert taken == {
        "status 0",
        *(
            f"{alg} to {what}"
            for alg in set(POLICY.algorithms) & VERIFIED.keys()
            for what in ("a key", "a certificate", "both")
        ),
    }


@pytest.mark.parametrize("required", ["dpop", "certificate"])
async def test_another_binding_is_required_as_by_token_explain(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: RequiredBinding
) -> None:
    """The page judges by the policy that it was made with, whichever that is."""
    policy = replace(POLICY, binding_required=required)
    monkeypatch.setattr(inspector, "make_token_policy", lambda _: policy)
    reasons = await assert_alike(await open_saved(page, tmp_path, SETTINGS), BOUND, policy)
    assert {reasons["ES256 to a key"], reasons["ES256 to a certificate"]} == {
        "", "binding_required"
    }  # fmt: skip


async def test_the_page_says_what_a_profile_asks_for(saved: Page) -> None:
    """With each check that failed."""
    await assert_alike(saved, {"RS256, unbound": FORGE.token()}, POLICY)
    await expect_verdict(saved, "Refused: wrong_algorithm", "These checks failed too: confirmation")
    for check, wanted in (
        ("algorithm", "Expected: one of ES256, Ed25519, EdDSA, PS256"),
        ("confirmation", "Expected: a cnf with jkt or x5t#S256"),
    ):
        await expect(saved.locator(f"[data-check={check}]")).to_contain_text(wanted)
    await assert_alike(saved, {"unbound": ES256.token()}, POLICY)
    await expect_verdict(saved, "Refused: binding_required", "Have the client get bound tokens")
