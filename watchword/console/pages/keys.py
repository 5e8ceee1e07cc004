"""Signing keys: their timeline, rotation and withdrawal."""

from watchword.console.api import ApiRefusal
from watchword.console.request import ConsoleRequest, Page, Redirect
from watchword.console.timeline import NAMES, ROW, WIDTH, lay_out


async def list_keys(request: ConsoleRequest) -> Page:
    """Show all keys over time, and in a table."""
    keys = (await request.api.get("keys")).document["keys"]
    context = {
        "keys": keys,
        "picture": lay_out(keys, request.now),
        "size": {"width": WIDTH, "names": NAMES, "row": ROW},
        "algorithms": sorted({key["alg"] for key in keys if key["state"] == "active"}),
    }
    return Page(template="keys.html", context=context)


async def rotate_key(request: ConsoleRequest) -> Page | Redirect:
    """Say what a rotation would do and when, or carry it out."""
    wanted = {"alg": request.name}
    if request.method == "POST":
        try:
            done = await request.api.call("POST", "key-rotations", body=wanted)
            return Redirect(path="/keys", notice=_notice("key-rotated", done.document["recorded"]))
        except ApiRefusal as refusal:
            return _refused(refusal, f"Rotate {request.name}")
    try:
        foreseen = await request.api.call("POST", "key-rotations", body=wanted | {"dry_run": True})
    except ApiRefusal as refusal:
        return _refused(refusal, f"Rotate {request.name}")
    keys = foreseen.document["keys"]
    context = {
        "alg": request.name,
        "at": foreseen.document["in_force_at"],
        "keys": keys,
        "signing": next((key for key in keys if key["state"] == "active"), None),
        "successor": next(
            (key for key in keys if key["signs_from"] == foreseen.document["in_force_at"]), None
        ),
    }
    return Page(template="key-rotate.html", context=context)


async def withdraw_key(request: ConsoleRequest) -> Page | Redirect:
    """Say what the withdrawal of a key would do and when, or carry it out."""
    wanted = {"kid": request.name}
    if request.method == "POST":
        try:
            done = await request.api.call("POST", "key-withdrawals", body=wanted)
            notice = _notice("key-withdrawn", done.document["recorded"])
            return Redirect(path="/keys", notice=notice)
        except ApiRefusal as refusal:
            return _refused(refusal, "Withdraw a key")
    try:
        foreseen = await request.api.call(
            "POST", "key-withdrawals", body=wanted | {"dry_run": True}
        )
    except ApiRefusal as refusal:
        return _refused(refusal, "Withdraw a key")
    keys = foreseen.document["keys"]
    context = {
        "kid": request.name,
        "at": foreseen.document["in_force_at"],
        "key": next(key for key in keys if key["kid"] == request.name),
        "successor": next((key for key in keys if key["state"] == "active"), None),
        "keys": keys,
    }
    return Page(template="key-withdraw.html", context=context)


def _refused(refusal: ApiRefusal, title: str) -> Page:
    """Say why the keys stay as they are, such as that a rotation is under way."""
    if refusal.status not in (409, 422):
        raise refusal
    status = 404 if refusal.status == 422 else refusal.status
    context = {"title": title, "why": refusal.detail}
    return Page(template="key-refused.html", context=context, status=status)


def _notice(name: str, recorded: bool) -> str:
    return name if recorded else f"{name}-unrecorded"
