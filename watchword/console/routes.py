"""The pages of the console in one table: navigation, and what is offered, are derived from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from issuer.administration.http.route import parse_path
from watchword.console.pages import overview
from watchword.console.request import ConsoleRequest, Page, Redirect

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


ROUTES: Final = (Route(method="GET", path="/", show=overview.overview, section="Overview"),)


def find_routes(path: str) -> dict[str, tuple[Route, tuple[str, ...]]]:
    """Return what is at a path below the console's, by method, with the names in it."""
    segments = ("",) if path in ("", "/") else parse_path(path)
    if segments is None:
        return {}
    found = ((route, route.match(segments)) for route in ROUTES)
    return {route.method: (route, names) for route, names in found if names is not None}


def nearest_page(path: str) -> str:
    """Return the path of the page that an action at a path is offered on."""
    while path and "GET" not in find_routes(path):
        path = path.rpartition("/")[0]
    return path
