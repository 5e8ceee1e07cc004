"""The token inspector as a test sees it: what is typed, and the verdict with each check."""

import asyncio
from typing import Any

from playwright.async_api import Page, expect

from tests.support.browser import PATIENCE

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
