"""The audit trail: who changed what and when, before and after."""

from issuer.registry.audit import Action
from watchword.console.api import ApiRefusal, Document
from watchword.console.differences import compare
from watchword.console.pages.tokens import read_moment
from watchword.console.request import ConsoleRequest, Page

_SHOWN = 50
_TEXTS = ("target", "actor", "action")
_TIMES = ("since", "until")
ACTIONS = tuple(
    name
    for kind in dict.fromkeys(action.value.partition(".")[0] for action in Action)
    for name in (kind, *(each.value for each in Action if each.value.startswith(f"{kind}.")))
)


async def list_audit(request: ConsoleRequest) -> Page:
    """List entries by the filters of the query, the latest first."""
    filters = {name: request.query.get(name) for name in (*_TEXTS, *_TIMES)}
    mistakes, times = {}, {}
    for name in _TIMES:
        if filters[name]:
            times[name] = read_moment(filters[name])
            if times[name] is None:
                mistakes[name] = "must be a date and time, in UTC"
    entries, following = [], None
    if not mistakes:
        texts = {name: filters[name] for name in _TEXTS}
        found = await request.api.get(
            "audit", **texts, **times, after=request.query.get("after"), limit=_SHOWN
        )
        entries, following = found.document["entries"], found.document["next"]
    context = {
        "entries": entries,
        "next": following,
        "filters": filters,
        "actions": ACTIONS,
        "mistakes": mistakes,
    }
    return Page(template="audit.html", context=context, status=422 if mistakes else 200)


async def find_latest(request: ConsoleRequest, kind: str, target: str) -> Document | None:
    """Return the latest entry of this kind, such as `client`; None without the scope to see it."""
    if not request.may("watchword:audit:read"):
        return None
    trail = await request.api.get("audit", action=kind, target=target, limit=1)
    return next(iter(trail.document["entries"]), None)


async def show_entry(request: ConsoleRequest) -> Page:
    """Show one entry, with what differs before and after."""
    number = request.name if request.name.isdigit() and len(request.name) < 18 else "0"
    found = await request.api.get("audit", after=str(int(number) + 1), limit=1)
    entry = next(iter(found.document["entries"]), None)
    if entry is None or str(entry["number"]) != number:
        raise ApiRefusal(404, {"title": "There is no such entry", "detail": "See the audit trail."})
    lines = compare(entry["before"], entry["after"])
    return Page(template="audit-entry.html", context={"entry": entry, "lines": lines})
