"""The pages of the console in one table: navigation, and what is offered, are derived from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from issuer.administration.authority import KEYS_WRITE
from issuer.administration.http.route import parse_path
from watchword.console.pages import (
    audit,
    client_forms,
    clients,
    credentials,
    health,
    keys,
    overview,
    resources,
    tokens,
    usage,
)
from watchword.console.request import ConsoleRequest, Page, Redirect
from watchword.registry import TOKENS_WRITE

Show = Callable[[ConsoleRequest], Awaitable[Page | Redirect]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One page, or one action that a form posts.

    Args:
        method: `GET` or `POST`.
        path: below the console's; every segment in braces stands for a name.
        show: makes the page, or does what was posted and leads on.
        scopes: what a session must hold, all of them.
        section: how the navigation calls it; empty for a page that is reached from others.
    """

    method: str
    path: str
    show: Show
    scopes: tuple[str, ...] = ()
    section: str = ""

    def match(self, segments: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the names in a path; None if it is another page's."""
        wanted = tuple(self.path.split("/")[1:])
        if len(wanted) != len(segments):
            return None
        names = []
        for expected, given in zip(wanted, segments, strict=True):
            if expected.startswith("{"):
                names.append(given)
            elif expected != given:
                return None
        return tuple(names)


def _form(path: str, show: Show, scopes: tuple[str, ...]) -> tuple[Route, Route]:
    """Return the routes of a form and of what it posts."""
    return (
        Route(method="GET", path=path, show=show, scopes=scopes),
        Route(method="POST", path=path, show=show, scopes=scopes),
    )


_CLIENTS = (clients.READ, clients.WRITE)
_SECRETS = (clients.READ, clients.SECRETS)
_RESOURCES_READ = "watchword:resources:read"
_RESOURCES = (_RESOURCES_READ, "watchword:resources:write")
_KEYS = ("watchword:keys:read", KEYS_WRITE)

ROUTES: Final = (
    Route(method="GET", path="/", show=overview.overview, section="Overview"),
    Route(
        method="GET",
        path="/clients",
        show=clients.list_clients,
        scopes=(clients.READ,),
        section="Clients",
    ),
    Route(
        method="GET",
        path="/clients/{client_id}",
        show=clients.show_client,
        scopes=(clients.READ,),
    ),
    *_form("/new-client", client_forms.register_client, (clients.WRITE,)),
    *_form("/clients/{client_id}/edit", client_forms.change_client, _CLIENTS),
    Route(
        method="POST",
        path="/clients/{client_id}/disable",
        show=clients.disable_client,
        scopes=(clients.WRITE,),
    ),
    Route(
        method="POST",
        path="/clients/{client_id}/enable",
        show=clients.enable_client,
        scopes=(clients.WRITE,),
    ),
    *_form("/clients/{client_id}/delete", clients.delete_client, _CLIENTS),
    Route(
        method="POST",
        path="/clients/{client_id}/secrets",
        show=credentials.add_secret,
        scopes=_SECRETS,
    ),
    *_form("/clients/{client_id}/secrets/{secret_id}", credentials.end_secret, _SECRETS),
    Route(
        method="GET",
        path="/resources",
        show=resources.list_resources,
        scopes=(_RESOURCES_READ,),
        section="Resources",
    ),
    Route(
        method="GET",
        path="/resources/{resource}",
        show=resources.show_resource,
        scopes=(_RESOURCES_READ,),
    ),
    # No resource has this identifier: it would have to be an absolute URI.
    *_form("/resources/new", resources.create_resource, _RESOURCES),
    *_form("/resources/{resource}/change", resources.change_resource, _RESOURCES),
    *_form("/resources/{resource}/delete", resources.delete_resource, _RESOURCES),
    Route(
        method="GET",
        path="/keys",
        show=keys.list_keys,
        scopes=("watchword:keys:read",),
        section="Keys",
    ),
    *_form("/keys/rotate/{alg}", keys.rotate_key, _KEYS),
    *_form("/keys/withdraw/{kid}", keys.withdraw_key, _KEYS),
    Route(
        method="GET",
        path="/tokens",
        show=tokens.choose_tokens,
        scopes=(TOKENS_WRITE,),
        section="Tokens",
    ),
    Route(method="POST", path="/tokens", show=tokens.change_tokens, scopes=(TOKENS_WRITE,)),
    Route(
        method="GET",
        path="/usage",
        show=usage.list_usage,
        scopes=("watchword:clients:read",),
        section="Usage",
    ),
    Route(
        method="GET",
        path="/audit",
        show=audit.list_audit,
        scopes=("watchword:audit:read",),
        section="Audit",
    ),
    Route(
        method="GET",
        path="/audit/{number}",
        show=audit.show_entry,
        scopes=("watchword:audit:read",),
    ),
    Route(
        method="GET",
        path="/health",
        show=health.show_health,
        scopes=("watchword:health:read",),
        section="Health",
    ),
)


_DEEPEST = max(route.path.count("/") for route in ROUTES)
"""Segments of a path; a longer one, which costs more with each segment, is not looked at."""


def find_routes(path: str) -> dict[str, tuple[Route, tuple[str, ...]]]:
    """Return what is at a path below the console's, by method, with the names in it."""
    if path.count("/") > _DEEPEST:
        return {}
    segments = ("",) if path in ("", "/") else parse_path(path)
    if segments is None:
        return {}
    found = ((route, route.match(segments)) for route in ROUTES)
    return {route.method: (route, names) for route, names in found if names is not None}


def nearest_page(path: str) -> str:
    """Return the path of the page that an action at a path is offered on."""
    path = "/".join(path.split("/")[: _DEEPEST + 1])
    while path and "GET" not in find_routes(path):
        path = path.rpartition("/")[0]
    return path
