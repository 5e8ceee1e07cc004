"""The first page: what needs attention, what was done last, and what the session may do."""

from watchword.console.request import ConsoleRequest, Page

_SOON = 30 * 86_400
_LINES = 8


async def overview(request: ConsoleRequest) -> Page:
    """Show it; each part only to those who may read it."""
    context: dict[str, object] = {"ending": None, "disabled": None, "entries": None}
    if request.may("watchword:clients:read"):
        ending = await request.api.get("clients", expiring=_SOON, limit=_LINES)
        disabled = await request.api.get("clients", state="disabled", limit=_LINES)
        context |= {
            "ending": ending.document["clients"],
            "more_ending": ending.document["next"] is not None,
            "disabled": disabled.document["clients"],
            "more_disabled": disabled.document["next"] is not None,
        }
    if request.may("watchword:audit:read"):
        audit = await request.api.get("audit", limit=_LINES)
        context["entries"] = audit.document["entries"]
    return Page(template="overview.html", context=context)
