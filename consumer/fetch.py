"""One question to the issuer and its answer, as values that any HTTP library can carry.

RFC 6749 §3.2 and RFC 8414 §3.1 say what is asked; neither answer is ever a redirect that one
would follow, nor larger than `MAX_ANSWER_BYTES`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from keys.encoding import inflate, is_gzip

MAX_ANSWER_BYTES = 65_536
# Named in errors, which repeat no other word of an answer: it might be the secret.
_TOLD_TYPES = frozenset({"text/html", "text/plain", "application/problem+json", "text/xml"})
LONGEST_WAIT = 300.0  # a Retry-After of a day must not put a client out of action for a day
SHORTEST_WAIT = 1.0  # what a 429 means that does not say how long


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """What to send; header and body may hold the client's secret and stay out of `repr`."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


def ask_for(url: str) -> FetchRequest:
    """Build the question for a JSON document."""
    return FetchRequest(method="GET", url=url, headers={"Accept": "application/json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchAnswer:
    """What came back; header names are in lower case, the body may hold a token."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    is_whole: bool = True
    """False if reading was given up: the body was too large, or coded in a way not asked for."""


class BoundedBody:
    """Take in an answer piece by piece, no more of it than one is willing to hold.

    We ask for no compressed bodies. One that is gzip all the same is inflated within the bound;
    other codings are not read at all.
    """

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin with the head of the answer."""
        self._status = status
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._body = bytearray()
        self.wants_more = True
        self.is_packed = False
        """Whether `add` takes the body as it was sent, and not as a library has decoded it."""
        try:
            self.is_packed = is_gzip(self._headers.get("content-encoding", ""))
        except ValueError:
            self.wants_more = False

    def add(self, chunk: bytes) -> bool:
        """Take a piece of the body and tell whether to go on."""
        if len(self._body) + len(chunk) > MAX_ANSWER_BYTES:
            self.wants_more = False
        else:
            self._body += chunk
        return self.wants_more

    def answer(self) -> FetchAnswer:
        """Return what has come in."""
        body, is_whole = bytes(self._body), self.wants_more
        if self.is_packed and is_whole:
            try:
                body = inflate(body, maximum=MAX_ANSWER_BYTES)
            except ValueError:
                is_whole = False
        return FetchAnswer(status=self._status, headers=self._headers, body=body, is_whole=is_whole)


def parse_json_object(
    answer: FetchAnswer, *, media_types: frozenset[str] = frozenset({"application/json"})
) -> dict[str, Any]:
    """Read the body of an answer as one JSON object.

    Args:
        answer: what came back.
        media_types: what it may be called.

    Raises:
        ValueError: another media type, bad UTF-8, bad JSON, NaN, not an object, or not whole.
    """
    if not answer.is_whole:
        raise ValueError("it is compressed or larger than can be meant")
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in media_types:
        told = media_type if media_type in _TOLD_TYPES else "of another type"
        raise ValueError(f"it is {told} instead of application/json")
    try:
        document = json.loads(answer.body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # The parser's own error holds the document, and a token with it.
        raise ValueError("it is not JSON") from None
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    return document


def retry_after(answer: FetchAnswer) -> float | None:
    """Return how many seconds the server asks to be left alone (RFC 9110 §10.2.3).

    None without such a wish; 429 (RFC 6585 §4) is one even without the header. A date is taken
    relative to the answer's own `Date`: no clock of ours has to agree with it.
    """
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(value)
        seconds = (until - parsedate_to_datetime(answer.headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return SHORTEST_WAIT if answer.status == 429 else None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
