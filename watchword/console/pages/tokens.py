"""Tokens: revoke, suspend or restore one that is pasted or named, or all that a choice names."""

from datetime import datetime
from typing import Any

from issuer.registry.schema import write_time
from keys.errors import InvalidJwt
from keys.jwt import read_jwt
from keys.pasted_token import read_pasted_token
from watchword.console.api import ApiRefusal, Document
from watchword.console.request import ConsoleRequest, Form, Page

ACTIONS = ("revoke", "suspend", "restore")
_SELECTORS = ("token", "jti", "client_id", "subject", "resource", "issued_before")
_SHOWN_CLAIMS = ("client_id", "sub", "aud", "scope", "iat", "exp", "jti")


async def choose_tokens(request: ConsoleRequest) -> Page:
    """Show the forms; a link may fill them in."""
    return _forms({name: request.query.get(name) for name in _SELECTORS})


async def change_tokens(request: ConsoleRequest) -> Page:
    """Say which tokens a change is about and when it is in force, or, once confirmed, do it.

    Its page is shown without a redirect: asked for again, it is answered alike.
    """
    wanted, mistakes = _read(request.form)
    if mistakes:
        return _forms(request.form.values(), mistakes)
    is_confirmed = request.form.has("confirmed")
    try:
        answer = await request.api.call(
            "POST", "token-revocations", body=wanted | {"dry_run": not is_confirmed}
        )
    except ApiRefusal as refusal:
        if refusal.status != 422:
            raise
        return _forms(request.form.values(), refusal.messages())
    claims = _claims(wanted["token"]) if "token" in wanted else {}
    if jti := claims.get("jti"):
        # The page goes on with the id: the token itself is in as few places as can be.
        wanted = {"action": wanted["action"], "jti": jti}
    context = {
        "action": wanted.pop("action"),
        "wanted": wanted,
        "claims": {name: claims[name] for name in _SHOWN_CLAIMS if name in claims},
        "tokens": answer.document["tokens"],
        "is_confirmed": is_confirmed,
    }
    return Page(template="tokens-change.html", context=context)


def _forms(values: dict[str, str], mistakes: dict[str, str] | None = None) -> Page:
    mistakes = mistakes or {}
    empty: dict[str, str] = dict.fromkeys(("action", *_SELECTORS), "")
    context = {"values": empty | values, "mistakes": mistakes}
    return Page(template="tokens.html", context=context, status=422 if mistakes else 200)


def _read(form: Form) -> tuple[Document, dict[str, str]]:
    wanted: Document = {name: form.get(name) for name in _SELECTORS if form.get(name)}
    mistakes = {}
    if "token" in wanted:  # one field takes either
        pasted = read_pasted_token(wanted.pop("token"))
        wanted["token" if "." in pasted else "jti"] = pasted
    if "issued_before" in wanted:
        moment = read_moment(wanted["issued_before"])
        if moment is None:
            mistakes["issued_before"] = "must be a date and time, in UTC"
        wanted["issued_before"] = moment
    if not wanted:
        mistakes[""] = "Say which tokens: paste one, or choose a client, subject, resource or time."
    wanted["action"] = form.get("action") if form.get("action") in ACTIONS else "revoke"
    return wanted, mistakes


def read_moment(text: str) -> str | None:
    """Read a time as browsers send it, in UTC, or as the API writes it; None if it is none."""
    try:
        moment = datetime.fromisoformat(text if "+" in text or text.endswith("Z") else f"{text}Z")
        return write_time(int(moment.timestamp()))
    except (ValueError, OverflowError):
        return None


def _claims(token: str) -> dict[str, Any]:
    """Return what a token says of itself; the API has looked at whose it is."""
    try:
        return dict(read_jwt(token).claims)
    except InvalidJwt:
        return {}
