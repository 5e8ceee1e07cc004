"""What an issuer answers to the request for its key set. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keys.errors import FetchFailed

FETCH_TIMEOUT = 5.0
"""Seconds for one fetch, discovery included, from connecting to the last byte."""

# File servers and object stores call a document by the last two; it is parsed strictly anyway.
_JSON_TYPES = frozenset(
    {"application/json", "application/jwk-set+json", "text/plain", "application/octet-stream"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer to the request for the key set."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case; `cache-control`, `age`, `etag` and `content-type` are read."""
    body: bytes = b""
    revalidate: int | None = None
    """Seconds, at least 1, after which this issuer wants to be asked again, if it says so."""


def check_json(answer: Fetched) -> None:
    """Refuse an answer that says of itself that it is no JSON document.

    Raises:
        FetchFailed: it does.
    """
    media_type = answer.headers.get("content-type", "application/json").partition(";")[0]
    if media_type.strip().lower() not in _JSON_TYPES:
        raise FetchFailed("not JSON")
