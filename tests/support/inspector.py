"""The token inspector as a test sees it: what is typed, and the verdict with each check."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from keys.jwks import JwkSet, parse_jwk_set
from resource_api.config import ResourcePolicy
from resource_api.explanation import explain
from resource_api.status_list import InvalidStatusList, parse_status_list
from tests.support.browser import PATIENCE
from tests.support.inspected_tokens import KEYS
from watchword.provider.inspector import build_page
from watchword.settings import Settings
from watchword.testing.forge import NOW

# Types each token, waits until what is shown belongs to it, and reads that. It needs no timer of
# the page, since tests replace its clock, and with it the timers.
_JUDGE = """async (tokens) => {
  const field = document.getElementById("token"), result = document.getElementById("result");
  const settled = () => result.getAttribute("aria-busy") === "false";
  const judged = [];
  for (const token of tokens) {
    field.value = token;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    if (!settled()) await new Promise((go) => {
      const seen = new MutationObserver(() => settled() && (seen.disconnect(), go()));
      seen.observe(result, { attributeFilter: ["aria-busy"] });
    });
    const verdict = document.querySelector("[data-verdict]").dataset;
    const checks = [...document.querySelectorAll("[data-check]")].map(({ dataset }) =>
      [dataset.check, dataset.outcome, dataset.reason]);
    judged.push({ verdict: verdict.verdict, reason: verdict.reason, checks });
  }
  return judged;
}"""


async def judge(page: Page, *tokens: str) -> list[Any]:
    """Have tokens judged one after the other: verdict, reason, and the checks with theirs."""
    async with asyncio.timeout(PATIENCE / 1000 + len(tokens)):  # `evaluate` itself waits for ever
        return list(await page.evaluate(_JUDGE, tokens))


async def paste_keys(page: Page, document: str, *, issuer: str, resource: str = "") -> None:
    """Say by hand which issuer, API and key set count."""
    if not await page.get_by_label("Issuer", exact=True).is_visible():
        await page.get_by_text("Issuer, API and keys", exact=True).click()
    await page.get_by_label("Issuer", exact=True).fill(issuer)
    await page.get_by_label("API (audience)").fill(resource)
    await page.get_by_label("Key set").fill(document)


async def expect_verdict(page: Page, *words: str) -> None:
    """See that the verdict has these words."""
    for each in words:
        await expect(page.get_by_role("status")).to_contain_text(each)
    await expect(page.locator("#result")).to_have_attribute("aria-busy", "false")


async def open_saved(page: Page, folder: Path, settings: Settings) -> Page:
    """Open the page as it is saved in a folder, at a time that stands still."""
    body, _ = build_page(settings)
    (folder / "inspector.html").write_bytes(body)
    await page.clock.set_fixed_time(NOW)
    await page.goto((folder / "inspector.html").as_uri())
    return page


def told(
    token: bytes, keys: JwkSet | None, body: bytes | None, policy: ResourcePolicy
) -> dict[str, Any]:
    """Give what `watchword token explain` says, in the words of the page."""
    explanation = explain(token, keys, policy, now=NOW)
    if explanation.status_list is not None and keys is not None and body is not None:
        with suppress(InvalidStatusList):  # which was pasted, so the token is not at fault
            found = parse_status_list(body, keys, uri=explanation.status_list, now=NOW)
            lists = {explanation.status_list: found}
            explanation = explain(token, keys, policy, now=NOW, status_lists=lists)
    verdict = "accepted" if explanation.accepted else "undecided"
    return {
        "verdict": "refused" if explanation.refused else verdict,
        "reason": explanation.reason or "",
        "checks": [
            [each.check, each.outcome.replace("reached", "tried"), each.reason or ""]
            for each in explanation.findings
        ],
    }


async def assert_alike(
    page: Page,
    tokens: Mapping[str, bytes],
    policy: ResourcePolicy,
    keys: str = KEYS,
    body: bytes | None = None,
) -> dict[str, str]:
    """Compare all tokens with `token explain`; give the reason of each by its name."""
    await paste_keys(page, keys, issuer=policy.issuer, resource=policy.resource)
    await page.get_by_label("Status list").fill("" if body is None else body.decode())
    judged = await judge(page, *(each.decode("utf-8") for each in tokens.values()))
    parsed = parse_jwk_set(keys.encode()) if keys else None
    for (name, token), page_says in zip(tokens.items(), judged, strict=True):
        assert page_says == told(token, parsed, body, policy), name
    return {name: each["reason"] for name, each in zip(tokens, judged, strict=True)}
