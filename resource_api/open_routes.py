"""Decide which requests need no token: listed by method, and exact path or prefix of paths.

Servers decode the path, so `/%70ublic` would look open: what was sent has to be the usual encoding
of what matched.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

_METHOD = re.compile(r"[A-Z][A-Z-]*")
_PREFIX_END = "/*"
# Below a prefix nothing may be read as another path further in: dot segments, empty segments (the
# last may be one), backslashes, and what may be decoded once more.
_BELOW = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[^/\\%]+/)*(?:(?!\.{1,2}\Z)[^/\\%]+)?")


class OpenRoutes:
    """The routes that need no token; whatever is not listed needs one."""

    def __init__(
        self,
        routes: Iterable[tuple[str, str]],
        *,
        document: str | None,
        readiness_path: str | None = None,
    ) -> None:
        """Read the list.

        Args:
            document: the path of the metadata document, if there is one: it is public, or a caller
                without a token could not learn where to get one (RFC 9728 §3.1).
            readiness_path: that of the readiness probe, if there is one.
            routes: (method, path) pairs, the path decoded and without query. `/static/*` stands for
                all paths below `/static/`. With `GET`, `HEAD` is open too (RFC 9110 §9.3.2).

        Raises:
            ValueError: an entry that can never match, or not as it was meant.
        """
        self._exact = {("GET", document), ("HEAD", document)} if document is not None else set()
        prefixes: set[tuple[str, str]] = set()
        for entry in [*routes, *_probe_route(readiness_path)]:
            method, path = _check_entry(entry)
            for name in ("GET", "HEAD") if method == "GET" else (method,):
                if path.endswith(_PREFIX_END):
                    prefixes.add((name, path[:-1]))
                else:
                    self._exact.add((name, path))
        self._prefixes = tuple(prefixes)

    def match(self, scope: Mapping[str, Any]) -> str | None:
        """Give the path of an open route, as seen by the application, or None.

        Args:
            scope: a request's ASGI scope. `root_path` is where the application is mounted; servers
                put it before the path or not. `raw_path` is the path as sent, if it is kept.
        """
        method, path = scope["method"], scope["path"]
        root_path = scope.get("root_path")
        inner = path_below(path, root_path) if root_path else path
        if (method, inner) not in self._exact and not self._is_below(method, inner):
            return None
        sent = scope.get("raw_path")
        if sent is None or sent == encode_path(path):
            return inner
        return inner if inner != path and sent == encode_path(inner) else None

    def _is_below(self, method: str, path: str) -> bool:
        for name, base in self._prefixes:
            if name == method and path.startswith(base) and _BELOW.fullmatch(path, len(base)):
                return True
        return False


def path_below(path: str, root_path: str) -> str:
    """Take the root path off a path, if it is there, segment by segment."""
    root_path = root_path.rstrip("/")
    if root_path and path.startswith(root_path) and path[len(root_path) :][:1] in ("", "/"):
        return path[len(root_path) :]
    return path


def encode_path(path: str) -> bytes:
    """Encode a path as clients do (RFC 3986 §2.1, §3.3)."""
    return quote(path, safe="/:@!$&'()*+,;=-._~", errors="replace").encode()


def _probe_route(path: str | None) -> list[tuple[str, str]]:
    if path is None:
        return []
    if not path.startswith("/") or path.endswith("/*"):
        raise ValueError("readiness_path must be one path, which starts with a slash")
    return [("GET", path)]


def _check_entry(entry: object) -> tuple[str, str]:
    match entry:
        case (str(method), str(path)):
            pass
        case _:
            raise ValueError(f"open_routes: {entry!r} is not a pair of method and path")
    if _METHOD.fullmatch(method) is None:
        raise ValueError(f"open_routes: {method!r} is not a method in upper case")
    stem = path.removesuffix(_PREFIX_END)
    if not path.startswith("/"):
        raise ValueError(f"open_routes: {path!r} must start with a slash")
    if any(character in stem for character in "?#%*\\"):
        raise ValueError(
            f"open_routes: {path!r} must be a decoded path without query; '/*' may end it"
        )
    if {".", ".."} & set(stem.split("/")):
        raise ValueError(f"open_routes: {path!r} has dot segments, which clients take out")
    return method, path
