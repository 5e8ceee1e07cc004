"""Limits and health: what is wrong and what mends it, and who was limited."""

from watchword.console.request import ConsoleRequest, Page


async def show_health(request: ConsoleRequest) -> Page:
    """Show how the provider fares."""
    health = (await request.api.get("health")).document
    requests = sum(each["requests"] for each in health["token_requests"])
    return Page(template="health.html", context={"health": health, "requests": requests})
