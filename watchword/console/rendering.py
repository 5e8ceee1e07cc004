"""Templates and static files of the console."""

import hashlib
import json
import mimetypes
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from issuer.administration.http.route import write_path
from watchword.console.guard import SignedIn
from watchword.console.notices import NOTICES
from watchword.console.request import Page
from watchword.console.routes import ROUTES
from watchword.console.times import ago, claimed_time, duration, moment

_HERE = Path(__file__).parent
_LICENCE = ".LICENSE"


class StaticFile(NamedTuple):
    """A file that browsers keep for a year: another content has another path.

    Args:
        path: below the console's.
        media_type: of the content.
        content: the bytes.
    """

    path: str
    media_type: bytes
    content: bytes


class Frame(NamedTuple):
    """What every page shows around its own.

    Args:
        path: of the page, below the console's.
        signed_in: who is signed in, if anybody is.
        notice: the key of what was done before.
        now: seconds since the epoch.
        request_id: of the request, as the log has it.
    """

    path: str
    signed_in: SignedIn | None
    notice: str
    now: int
    request_id: str

    def may(self, *scopes: str) -> bool:
        """Tell whether the session holds all these scopes, so that an action is offered."""
        if self.signed_in is None:
            return False
        return self.signed_in.administrator.scopes.issuperset(scopes)


class Renderer:
    """Writes pages.

    Args:
        base: the path of the console.
        issuer: the issuer identifier.
        withdrawal_seconds: within which validators learn that a token was revoked.
    """

    def __init__(self, base: str, *, issuer: str, withdrawal_seconds: int) -> None:
        static = load_static()
        self.files = {file.path: file for file in static.values()}
        """The static files by their paths below the console's."""
        self._templates = make_environment(base, static)
        self._templates.globals |= {
            "issuer": issuer,
            "issuer_name": urlsplit(issuer).netloc,
            "version": version("watchword"),
            "withdrawal_seconds": withdrawal_seconds,
        }

    def render(self, page: Page, frame: Frame) -> bytes:
        """Write a page as HTML."""
        session, administrator = frame.signed_in or (None, None)
        around = {
            "now": frame.now,
            "request_id": frame.request_id,
            "session": session,
            "administrator": administrator,
            "csrf": session.csrf if session else "",
            "may": frame.may,
            "notice": NOTICES.get(frame.notice),
            "sections": _sections(frame),
        }
        template = self._templates.get_template(page.template)
        return template.render({**around, **page.context}).encode()


def _sections(frame: Frame) -> list[dict[str, Any]]:
    """List what the navigation offers."""
    return [
        {
            "name": route.section,
            "path": route.path,
            "is_here": frame.path == route.path
            or (frame.path == "" and route.path == "/")
            or (route.path != "/" and frame.path.startswith(route.path + "/")),
        }
        for route in ROUTES
        if route.section and frame.may(*route.scopes)
    ]


def load_static() -> dict[str, StaticFile]:
    """Load the static files, by name."""
    found = {}
    for file in sorted((_HERE / "static").iterdir()):
        if file.suffix == _LICENCE:
            continue
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:16]
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        charset = "; charset=utf-8" if kind.startswith("text/") else ""
        path = f"/static/{digest}/{file.name}"
        found[file.name] = StaticFile(path, f"{kind}{charset}".encode(), content)
    return found


def make_environment(base: str, static: dict[str, StaticFile]) -> Environment:
    """Return the templates, which escape whatever they are given.

    Args:
        base: the path of the console.
        static: its static files.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )

    def url(*segments: str, **query: object) -> str:
        path = base + write_path(*segments) if segments else base
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{path}?{urlencode(given)}" if given else path

    environment.globals |= {
        "base": base,
        "url": url,
        "static": {name: base + file.path for name, file in static.items()},
    }
    environment.filters |= {
        "ago": ago,
        "moment": moment,
        "duration": duration,
        "pretty": pretty,
        "sentence": sentence,
        "claimed_time": claimed_time,
        "pair": lambda text: (text, text),
    }
    return environment


def sentence(text: str) -> str:
    """Write what the API says as a sentence: with a capital, and a full stop unless it asks."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(("?", ".")) else ".")


def pretty(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Write a JSON value over several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False)
