"""The attack table of the token endpoint at the other endpoints that authenticate clients.

They parse, authenticate and refuse as the token endpoint does.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.issuer import (
    API,
    FORM,
    SECRET,
    Answer,
    Clients,
    TestIssuer,
    basic,
    call,
    make_client,
)

FORM_HEADER = (b"content-type", FORM.encode())
GOOD = (b"authorization", basic("svc-a", SECRET))
BODY = b"token=x"

ENDPOINTS: dict[str, Callable[[TestIssuer], Any]] = {
    "introspection": lambda issuer: issuer.introspection,
    "revocation": lambda issuer: issuer.revocation,
}
pytestmark = pytest.mark.parametrize("endpoint", list(ENDPOINTS))


def make_issuer(**client: Any) -> TestIssuer:
    """Give an issuer of one client that may use every endpoint."""
    return TestIssuer(clients=Clients(make_client(introspects=(API,), **client)))


async def send(
    endpoint: str,
    body: bytes = BODY,
    *,
    headers: list[tuple[bytes, bytes]] | None = None,
    method: str = "POST",
    query: bytes = b"",
    issuer: TestIssuer | None = None,
) -> Answer:
    """Send raw bytes."""
    app = ENDPOINTS[endpoint](issuer or make_issuer())
    lines = [FORM_HEADER, GOOD] if headers is None else headers
    return await call(app, method, "/", lines, body, query)


def refused(answer: Answer, status: int, code: str) -> None:
    """Check the whole shape of a refusal: status, code, no-store, JSON, nothing echoed."""
    assert (answer.status, answer.json["error"]) == (status, code)
    assert answer.header("cache-control") == "no-store"
    assert answer.header("content-type") == "application/json"
    assert set(answer.json) <= {"error", "error_description"}
    if status == 401:
        assert answer.header("www-authenticate") == 'Basic realm="token", charset="UTF-8"'


@pytest.mark.attack("T1")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_are_405_with_allow(endpoint: str, method: str) -> None:
    """A token is never in a URI, so nothing but POST is taken."""
    answer = await send(endpoint, method=method)
    refused(answer, 405, "invalid_request")
    assert answer.header("allow") == "POST"


@pytest.mark.attack("T2")
@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-type", b"application/json"), GOOD],
        [(b"content-type", b"multipart/form-data; boundary=x"), GOOD],
        [GOOD],
        [FORM_HEADER, (b"content-encoding", b"gzip"), GOOD],
    ],
)
async def test_other_media_types_are_refused(
    endpoint: str, headers: list[tuple[bytes, bytes]]
) -> None:
    """The body is a form, uncompressed, and says so."""
    refused(await send(endpoint, headers=headers), 400, "invalid_request")


@pytest.mark.attack("T3")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"token=" + b"a" * 65_536, 413),
        (b"&".join(b"a=1" for _ in range(10_000)), 400),
        (b"token=%ff", 400),
        (b"token=%zz", 400),
        (b"token=a%00", 400),
        (BODY + b"&%zz=1", 400),
    ],
)
async def test_hostile_bodies_are_refused(endpoint: str, body: bytes, status: int) -> None:
    """Too long, too many fields, bad UTF-8, bad escapes and NUL are all the client's fault."""
    refused(await send(endpoint, body), status, "invalid_request")


@pytest.mark.attack("T3")
async def test_a_body_of_64_kb_is_read(endpoint: str) -> None:
    """Whatever it holds, it is a token like any other that is not ours."""
    answer = await send(endpoint, b"token=" + b"a" * (65_536 - 6))
    assert answer.status == 200


@pytest.mark.attack("T4")
@pytest.mark.parametrize(
    "extra",
    [
        b"&token=x",
        b"&token=",
        b"&t%6fken=y",
        b"&client_id=svc-a&client_id=svc-a",
        b"&token_type_hint=a&token_type_hint=",
    ],
)
async def test_repeated_parameters_are_refused(endpoint: str, extra: bytes) -> None:
    """A known parameter appears once at the most, counted before empty ones are dropped."""
    refused(await send(endpoint, BODY + extra), 400, "invalid_request")


@pytest.mark.attack("T5")
async def test_unknown_parameters_are_ignored(endpoint: str) -> None:
    """Those of a token request are unknown here, repeated or not."""
    answer = await send(endpoint, BODY + b"&foo=1&foo=2&scope=a&scope=b&resource=x&grant_type=y")
    assert answer.status == 200


@pytest.mark.parametrize("body", [b"", b"token=", b"Token=x", b"token_type_hint=access_token"])
async def test_a_token_is_required(endpoint: str, body: bytes) -> None:
    """RFC 7009 §2.1, RFC 7662 §2.1; one in the query is none."""
    issuer = make_issuer()
    refused(await send(endpoint, body, query=b"token=x", issuer=issuer), 400, "invalid_request")
    fields = {"reason": "token_missing", "client_id": "svc-a", "asked": None}
    assert issuer.events[-1][1] == fields


@pytest.mark.attack("T7")
@pytest.mark.rfc("7662-2.1-1")
@pytest.mark.parametrize(
    ("extra", "authorization"),
    [
        (b"", None),
        (b"&client_id=svc-a", None),
        (b"&client_secret=x", None),
        (b"", b"Bearer abc"),
    ],
)
async def test_no_credentials_are_401_with_the_challenge(
    endpoint: str, extra: bytes, authorization: bytes | None
) -> None:
    """An unauthenticated client is told how to authenticate, and nothing of the token."""
    headers = [FORM_HEADER] + ([] if authorization is None else [(b"authorization", authorization)])
    refused(await send(endpoint, BODY + extra, headers=headers), 401, "invalid_client")


@pytest.mark.attack("T8", "T10")
async def test_credentials_that_prove_nothing_are_told_alike(endpoint: str) -> None:
    """Unknown, wrong and unreadable credentials, whether or not a token was sent."""
    answers = [
        await send(endpoint, body, headers=[FORM_HEADER, (b"authorization", value)])
        for body in (BODY, b"")
        for value in (basic("nobody", SECRET), basic("svc-a", "wws_x"), b"Basic !!!!")
    ]
    for answer in answers:
        refused(answer, 401, "invalid_client")
    assert len({answer.body for answer in answers}) == 1


@pytest.mark.attack("T10", "T11")
@pytest.mark.parametrize(
    ("extra", "query"),
    [
        (b"&client_id=svc-a&client_secret=x", b""),
        (b"&client_assertion=x", b""),
        (b"", b"client_secret=x"),
    ],
)
async def test_several_credentials_are_refused(endpoint: str, extra: bytes, query: bytes) -> None:
    """One way of authentication, and never in the query."""
    refused(await send(endpoint, BODY + extra, query=query), 400, "invalid_request")


@pytest.mark.attack("T19")
async def test_a_disabled_client_is_told_no_more_than_an_unknown_one(endpoint: str) -> None:
    """The log has the reason."""
    issuer = make_issuer(disabled=True)
    refused(await send(endpoint, issuer=issuer), 401, "invalid_client")
    assert [(name.rpartition(".")[2], said["reason"]) for name, said in issuer.events] == [
        ("refused", "client_disabled")
    ]


@pytest.mark.attack("T22", "T23")
async def test_a_fault_of_ours_or_an_outage_is_json_without_a_trace(endpoint: str) -> None:
    """503 while the store cannot be asked, 500 for what was not foreseen."""
    issuer = make_issuer()
    issuer.clients.known.clear()
    issuer.clients.store_is_down = True
    answer = await send(endpoint, issuer=issuer)
    refused(answer, 503, "temporarily_unavailable")
    assert answer.header("retry-after") == "1"
    issuer.clients = None  # type: ignore[assignment]
    issuer._authenticator = None
    answer = await send(endpoint, issuer=issuer)
    refused(answer, 500, "server_error")
    assert issuer.events[-1][1]["reason"] == "internal"


async def test_a_client_that_leaves_gets_no_answer_and_no_event(endpoint: str) -> None:
    """There is no peer to answer; nothing was refused."""
    issuer, sent = make_issuer(), list[object]()

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send_nothing(message: object) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [FORM_HEADER], "query_string": b""}
    await ENDPOINTS[endpoint](issuer)(scope, receive, send_nothing)
    assert (sent, issuer.events) == ([], [])
