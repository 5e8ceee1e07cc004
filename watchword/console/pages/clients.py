"""Clients: the list, one of them, and what ends or stops it."""

import secrets
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from issuer.administration.queries import find_unknown_name
from keys.encoding import encode_base64url
from keys.errors import InvalidJwk
from keys.jwk import thumbprint
from watchword.console.request import ConsoleRequest, Form, Page, Redirect, place
from watchword.console.times import parse_time

Document = dict[str, Any]

READ = "watchword:clients:read"
WRITE = "watchword:clients:write"
SECRETS = "watchword:secrets:write"
RESOURCES = "watchword:resources:read"
TOKENS = "watchword:tokens:write"

LIFETIMES = (
    ("", "Never"),
    ("2592000", "In 30 days"),
    ("7776000", "In 90 days"),
    ("15552000", "In 180 days"),
    ("31536000", "In 1 year"),
)
"""When a new secret ends, in seconds from now."""

_PAGE = 50
_ALL = 1_000
"""Resources that a page of the API has at the most; a longer list is not known whole."""
_DAYS = tuple((str(days * 86_400), f"{days} days") for days in (7, 30, 90, 365))
_STATES = (
    ("", "Any"),
    ("enabled", "Enabled"),
    ("disabled", "Disabled"),
    ("expired", "Expired"),
    ("secret_expired", "No live secret"),
)
_FILTERS = ("state", "resource", "scope", "expiring", "unused_for")


async def list_clients(request: ConsoleRequest) -> Page:
    """List the clients that a filter lets through, a page at a time."""
    query = request.query
    wanted = {name: query.get(name) for name in _FILTERS}
    after = query.get("after")
    found = await request.api.get("clients", **wanted, after=after, limit=_PAGE)
    clients, resources = found.document["clients"], await read_resources(request)
    context = {
        "clients": clients,
        "next": found.document["next"],
        "after": after,
        "wanted": wanted,
        "is_filtered": any(wanted.values()),
        "states": _STATES,
        "resources": [("", "Any"), *((each["resource"],) * 2 for each in resources)],
        "why_nothing": None if clients else why_nothing(resources, wanted),
        "expiring": (("", "Any time"), *_DAYS),
        "unused": (("", "Does not matter"), *_DAYS),
    }
    return Page(template="clients.html", context=context)


async def read_resources(request: ConsoleRequest) -> list[Document]:
    """Read the resources; none if the session may not."""
    if not request.may(RESOURCES):
        return []
    found = await request.api.get("resources", limit=_ALL)
    resources: list[Document] = found.document["resources"]
    return resources


def why_nothing(resources: list[Document], wanted: Mapping[str, str]) -> str | None:
    """Say which name in a filter that found nothing is mistyped; None if none is known to be."""
    if not 0 < len(resources) < _ALL:
        return None
    return find_unknown_name(
        resources, resource=wanted["resource"] or None, scope=wanted["scope"] or None
    )


async def show_client(request: ConsoleRequest) -> Page:
    """Show one client with its grants, when each was used last, and its credentials."""
    return await show(request, request.name)


async def show(
    request: ConsoleRequest, client_id: str, *, status: int = 200, **more: object
) -> Page:
    """Show a client.

    Args:
        request: who asks.
        client_id: which.
        status: of the answer.
        more: further parts of the page, such as `mistake`.
    """
    found = await request.api.get("clients", client_id)
    client = found.document
    uses = await request.api.get("usage", client_id=client_id, limit=1000)
    used = {
        (each["resource"], each["scope"]): each["last_used_at"] for each in uses.document["uses"]
    }
    context = {
        "client": defaultdict(lambda: None, client),
        "once": encode_base64url(secrets.token_bytes(16)),
        "lifetimes": LIFETIMES,
        "grants": [_describe_grant(grant, used) for grant in client["grants"]],
        "secrets": [_describe_secret(each, request.now) for each in reversed(client["secrets"])],
        "keys": describe_keys(client.get("jwks")),
        "uses_secrets": client["token_endpoint_auth_method"].startswith("client_secret"),
        "mistake": None,
    }
    return Page(template="client.html", context={**context, **more}, status=status)


def _describe_grant(grant: Document, used: dict[tuple[str, str], str | None]) -> Document:
    resource = grant["resource"]
    scopes = [
        {"name": scope, "used": used.get((resource, scope))} for scope in grant["scope"].split()
    ]
    more = {name: value for name, value in grant.items() if name not in ("resource", "scope")}
    return {"resource": resource, "scopes": scopes, "more": more}


def _describe_secret(secret: Document, now: int) -> Document:
    starts, ends = secret["starts_at"], secret["expires_at"]
    state = "live"
    if ends is not None and parse_time(ends) <= now:
        state = "ended"
    elif starts is not None and parse_time(starts) > now:
        state = "not yet"
    return {**secret, "state": state}


def describe_keys(jwks: Document | None) -> list[Document]:
    """Describe the public keys of a client, each with its thumbprint (RFC 7638)."""
    found = []
    for key in (jwks or {}).get("keys", ()):
        try:
            print_ = thumbprint(key)
        except InvalidJwk:  # of a type that was known to an earlier version
            print_ = None
        described = {name: key.get(name) for name in ("kid", "kty", "alg", "crv")}
        found.append(described | {"thumbprint": print_})
    return found


async def disable_client(request: ConsoleRequest) -> Redirect:
    """Refuse the client from now on; whatever was changed meanwhile, since it may be urgent."""
    await _set_disabled(request, disabled=True)
    return Redirect(path=place("clients", request.name), notice="client-disabled")


async def enable_client(request: ConsoleRequest) -> Redirect:
    """Let the client in again."""
    await _set_disabled(request, disabled=False)
    return Redirect(path=place("clients", request.name), notice="client-enabled")


async def _set_disabled(request: ConsoleRequest, *, disabled: bool) -> None:
    body, query = {"disabled": disabled}, _and_tokens(request.form)
    await request.api.call("PATCH", "clients", request.name, body=body, query=query)


async def _ask(request: ConsoleRequest, *, mistake: str = "", status: int = 200) -> Page:
    found = await request.api.get("clients", request.name)
    uses = await request.api.get("usage", client_id=request.name, limit=1000)
    times = [each["last_used_at"] for each in uses.document["uses"] if each["last_used_at"]]
    context = {
        "client": found.document,
        "last_used_at": max(times, default=None),
        "mistake": mistake,
    }
    return Page(template="client-delete.html", context=context, status=status)


async def delete_client(request: ConsoleRequest) -> Page | Redirect:
    """Ask for the id of the client that is to be deleted, and delete it once that is typed."""
    if request.method == "GET":
        return await _ask(request)
    if request.form.get("typed") != request.name:
        return await _ask(request, mistake="This is not the id of the client.", status=422)
    await request.api.call("DELETE", "clients", request.name, query=_and_tokens(request.form))
    return Redirect(path=place("clients"), notice="client-deleted")


def _and_tokens(form: Form) -> dict[str, bool]:
    return {"revoke_tokens": True} if form.has("revoke_tokens") else {}
