"""Credentials of clients: a new secret, shown once, and the end of one."""

from watchword.console.api import ApiRefusal
from watchword.console.pages import clients
from watchword.console.request import ConsoleRequest, Page, Redirect, place

_REFUSED = (409, 422)


async def add_secret(request: ConsoleRequest) -> Page:
    """Make one more secret, and show it this once: on the answer to the form, with no address."""
    lifetime = request.form.get("expires_in")
    body = {"expires_in": int(lifetime)} if lifetime in dict(clients.LIFETIMES) and lifetime else {}
    try:
        made = await request.api.call(
            "POST",
            "clients",
            request.name,
            "secrets",
            body=body,
            idempotency_key=request.form.get("once") or None,
        )
    except ApiRefusal as refusal:
        if refusal.status not in _REFUSED:
            raise
        mistake = " ".join(refusal.messages().values())
        return await clients.show(request, request.name, status=refusal.status, mistake=mistake)
    return show_secret(request.name, made.document)


def show_secret(client_id: str, made: dict[str, object], *, is_new: bool = False) -> Page:
    """Show a secret that was made.

    Args:
        client_id: whose.
        made: the answer of the API; without the secret if the same form was sent before.
        is_new: whether the client was made with it.
    """
    context = {"client_id": client_id, "made": made, "is_new": is_new}
    return Page(template="secret.html", context=context)


async def _ask(request: ConsoleRequest) -> Page:
    client_id, secret_id = request.names
    found = await request.api.get("clients", client_id)
    secrets = found.document["secrets"]
    chosen = next((each for each in secrets if each["secret_id"] == secret_id), None)
    if chosen is None:
        problem = {"title": "There is no such secret", "detail": "It was ended before."}
        raise ApiRefusal(404, problem)
    others = [each for each in secrets if each["secret_id"] != secret_id]
    context = {"client_id": client_id, "secret": chosen, "others": len(others)}
    return Page(template="secret-end.html", context=context)


async def end_secret(request: ConsoleRequest) -> Page | Redirect:
    """Ask before a secret is ended, and end it at once."""
    if request.method == "GET":
        return await _ask(request)
    client_id, secret_id = request.names
    await request.api.call("DELETE", "clients", client_id, "secrets", secret_id)
    return Redirect(path=place("clients", client_id), notice="secret-ended")
