"""Call the administration API within this process, in the name of a session.

A call is a request like any other but for the network and the token: routes, scopes, refusals and
audit trail are the API's own.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from issuer.administration.http import BASE
from issuer.administration.http.route import write_path
from issuer.endpoints.asgi import Message, Receive, Scope, Send
from watchword.provider.admin import Administrator

Document = dict[str, Any]
ServeWithin = Callable[[Administrator, Scope, Receive, Send], Awaitable[None]]

REVISION_CONFLICT = 412


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAnswer:
    """A good answer.

    Args:
        status: 200, 201 or 204.
        document: the body; empty if there is none.
        tag: the entity tag of what it describes, to send with a change of it.
    """

    status: int
    document: Document = field(default_factory=dict, repr=False)
    tag: str | None = None


class ApiRefusal(Exception):
    """A refusal of the administration API.

    Args:
        status: the HTTP status.
        problem: its problem details (RFC 9457).
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(problem.get("detail") or problem.get("title"))
        self.status = status
        self.title = str(problem.get("title", "The request was refused"))
        self.detail = str(problem.get("detail", ""))
        self.errors: Sequence[Mapping[str, str]] = problem.get("errors", ())

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled without `__init__`, whose parameters differ by class."""
        return Exception.__new__, (type(self), *self.args), vars(self)

    def messages(self) -> dict[str, str]:
        """Return what is wrong by the member of the document; under "" what is of no member."""
        found: dict[str, str] = {}
        for error in self.errors:
            member = error.get("pointer", "#").removeprefix("#/").partition("/")[0]
            found.setdefault(member.removeprefix("#"), error.get("detail", ""))
        return found or {"": self.detail}


class AdministrationClient:
    """The administration API as one administrator may use it.

    Args:
        serve: serves a request in the name of an administrator.
        administrator: the one.
    """

    def __init__(self, serve: ServeWithin, administrator: Administrator) -> None:
        self._serve = serve
        self._administrator = administrator

    async def get(self, *segments: str, **query: str | int | bool | None) -> ApiAnswer:
        """Read what is at a path; a parameter that is None or empty is left out.

        Raises:
            ApiRefusal: the API refuses.
        """
        return await self.call("GET", *segments, query=query)

    async def call(
        self,
        method: str,
        *segments: str,
        query: Mapping[str, str | int | bool | None] | None = None,
        body: Document | None = None,
        tag: str | None = None,
        idempotency_key: str | None = None,
    ) -> ApiAnswer:
        """Call the API.

        Args:
            method: the HTTP method.
            segments: of the path below the API's own, such as "clients" and an id.
            query: parameters; one that is None or empty is left out.
            body: a JSON document.
            tag: the entity tag that what is changed must still have (`If-Match`).
            idempotency_key: has the same request, sent again, be done once.

        Raises:
            ApiRefusal: the API refuses.
        """
        raw_path = BASE + write_path(*segments)
        headers = []
        if body is not None:
            headers.append((b"content-type", b"application/json"))
        if tag is not None:
            headers.append((b"if-match", tag.encode("latin-1", "replace")))
        if idempotency_key is not None:
            headers.append((b"idempotency-key", idempotency_key.encode()))
        scope = {
            "type": "http",
            "method": method,
            "path": raw_path,
            "raw_path": raw_path.encode("ascii"),
            "query_string": _write_query(query or {}),
            "headers": headers,
        }
        content = b"" if body is None else json.dumps(body).encode()
        status, answered, document = await self._send(scope, content)
        if status >= 400:
            raise ApiRefusal(status, document)
        found = answered.get(b"etag")
        return ApiAnswer(
            status=status, document=document, tag=None if found is None else found.decode("latin-1")
        )

    async def _send(self, scope: Scope, content: bytes) -> tuple[int, dict[bytes, bytes], Document]:
        answer: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": content}

        async def send(message: Message) -> None:
            answer.append(message)

        await self._serve(self._administrator, scope, receive, send)
        start, *parts = answer
        body = b"".join(part.get("body", b"") for part in parts)
        return start["status"], dict(start["headers"]), json.loads(body) if body else {}


def _write_query(query: Mapping[str, str | int | bool | None]) -> bytes:
    def text(value: str | int | bool) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    pairs = [(name, text(value)) for name, value in query.items() if value not in (None, "")]
    return urlencode(pairs).encode("ascii")
