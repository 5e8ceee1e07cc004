"""Usage: who may use which scope, and who did when."""

from watchword.console.pages.clients import read_resources, why_nothing
from watchword.console.request import ConsoleRequest, Page

UNUSED = (
    ("", "Used or not"),
    ("604800", "Unused for 7 days"),
    ("2592000", "Unused for 30 days"),
    ("7776000", "Unused for 90 days"),
    ("31536000", "Unused for a year"),
)
_SHOWN = 100


async def list_usage(request: ConsoleRequest) -> Page:
    """List uses by the filters of the query, page by page."""
    filters = {name: request.query.get(name) for name in ("client_id", "resource", "scope")}
    chosen = request.query.get("unused_for")
    unused = chosen if chosen in dict(UNUSED) else ""
    found = await request.api.get(
        "usage", **filters, unused_for=unused, after=request.query.get("after"), limit=_SHOWN
    )
    uses = found.document["uses"]
    context = {
        "uses": uses,
        "why_nothing": None if uses else why_nothing(await read_resources(request), filters),
        "next": found.document["next"],
        "filters": filters | {"unused_for": unused},
        "unused": UNUSED,
    }
    return Page(template="usage.html", context=context)
