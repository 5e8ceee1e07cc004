"""The demo scenario over HTTP: open route, refusals, tokens, reading and writing, revoking.

Each request is printed with its reason and its answer, which is compared with the expected one.
RFC 6749 §4.4, RFC 6750 §3.1, RFC 9068 §4, RFC 7009 §2.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import httpx

from consumer.client_auth import ClientAuth, ClientSecretBasic
from consumer.deadline import Deadline
from consumer.demo.token_check import is_on_status_list, verify_with_jwks
from consumer.errors import ConsumerError
from consumer.fetch import FetchAnswer, FetchRequest
from consumer.metadata import (
    build_metadata_requests,
    check_endpoint,
    check_issuer,
    parse_metadata,
)
from consumer.origin import parse_origin
from consumer.token_request import build_token_request, parse_token_response
from consumer.token_scheme import BEARER
from keys.identifiers import InsecureHttp

VALUE = "foo-bar-moo"
TIMEOUT = 10.0
"""Seconds for each request, from connecting to the last byte."""
_LONGEST_BODY = 200
_SHOWN_OF_A_TOKEN = 12
_PATIENCE = 30.0
_PAUSE = 0.1
_USES = 100
"""Requests with one token, about which the API asks the issuer nothing."""
_REVALIDATION = 15
"""Seconds between two looks of an API at what the issuer withdrew, if the issuer does not say."""
_LATE = 5
"""Seconds for all that a busy machine delays."""

Rotate = Callable[[], tuple[str, float]]
"""Rotate the signing key; return the `kid` of the one that will sign, and in how many seconds."""


def run(
    *,
    issuer: str,
    api: str,
    auth: ClientAuth,
    out: Callable[[str], None] = print,
    allow_insecure_http: InsecureHttp = False,
    transport: httpx.BaseTransport | None = None,
    rotate: Rotate | None = None,
) -> int:
    """Run the scenario and print how it ended.

    Args:
        issuer: the issuer identifier.
        api: where the demo API is; a slash at the end does not matter.
        auth: of a client that may have the scopes `read` and `write`; its secret is never shown.
        out: takes one line at a time.
        allow_insecure_http: which other machines issuer and API may be on with plain http.
        transport: carries the requests, instead of httpx's own.
        rotate: rotates the issuer's signing key, as its operator does; then the story goes on until
            another key signs, and a little further.

    Returns:
        0 if every answer was the expected one, else 1.
    """

    def say(line: str) -> None:
        out(f"[Consumer]: {line}")

    scenario = _Scenario(transport, say, issuer, api.rstrip("/"), auth, allow_insecure_http)
    try:
        check_issuer(issuer, allow_insecure_http=allow_insecure_http)
        check_endpoint(api, allow_insecure_http=allow_insecure_http)
        scenario.run()
        if rotate is not None:
            scenario.rotate(rotate, out)
    except httpx.RequestError as error:
        say(scenario.ending(f"{error.request.url} cannot be reached: {error}"))
        return 1
    except (_Unexpected, ConsumerError, ValueError, TimeoutError) as error:
        say(scenario.ending(str(error)))
        return 1
    say("every answer was the expected one")
    return 0


class _Unexpected(Exception):
    """An answer that is not the expected one."""


class _Scenario:
    def __init__(
        self,
        transport: httpx.BaseTransport | None,
        say: Callable[[str], None],
        issuer: str,
        api: str,
        auth: ClientAuth,
        insecure_http: InsecureHttp,
    ) -> None:
        self._transport = transport
        self._tls_context = httpx.create_ssl_context()
        self._say = say
        self._issuer = issuer
        self._api = api
        self._insecure_http = insecure_http
        self._good = auth
        client_id = getattr(auth, "client_id", "unknown")
        self._bad = ClientSecretBasic(client_id, "not-the-secret-of-this-client")
        self._tokens: list[str] = []
        self._token_endpoint = ""
        self._jwks_uri = ""
        self._revocation_endpoint: str | None = None
        self._told_within = 0.0

    def ending(self, reason: str) -> str:
        return self._presentable(f"the scenario ends here: {reason}")

    def run(self) -> None:
        self._refusals()
        token = self._token("read write", "a token for reading and writing")
        self._read_and_write(token)
        self._beyond(token)
        self._revocation()

    def rotate(self, rotate: Rotate, out: Callable[[str], None]) -> None:
        """Go on while another key takes over; no request may be refused."""
        before = self._token("read", "a token before the rotation")
        kid, seconds = rotate()
        out(f"[Operator]: watchword keys rotate => key {kid} signs in {seconds:.0f} s")
        requests = self._until_signed_by(kid, before, seconds + _PATIENCE)
        self._say(f"{requests} requests until a token is signed with it => all of them 200 OK")
        after = self._token("read", "a token after the rotation")
        for when, token in (("before", before), ("after", after)):
            answer = self._call("GET", "/read-resource", f"read with the token from {when}", token)
            _expect_json(answer, {"resource": VALUE})

    def _until_signed_by(self, kid: str, token: str, patience: float) -> int:
        """Get tokens and read with an old one until this key signs; count the requests."""
        end = time.monotonic() + patience
        with self._quietly() as unsaid:
            while self._signer(self._token("read", "a token meanwhile"), self._jwks()) != kid:
                answer = self._call("GET", "/read-resource", "read meanwhile", token)
                _expect_json(answer, {"resource": VALUE})
                _expect("another key", "another key" if time.monotonic() < end else "the same")
                time.sleep(_PAUSE)
        return len(unsaid)

    def _refusals(self) -> None:
        answer = self._call("GET", "/public", "the open route, no token needed")
        _expect("200 moo", f"{answer.status_code} {answer.text}")
        answer = self._call("GET", "/read-resource", "a protected route, without a token")
        _expect("401 without an error code", _verdict(answer))
        self._discover()
        answer = self._request_token(self._bad, "read write", "a token with bad credentials")
        _expect("401 invalid_client", f"{answer.status_code} {_document(answer).get('error')}")

    def _read_and_write(self, token: str) -> None:
        answer = self._call("GET", "/read-resource", "read with the token", token)
        # Null on a fresh provider, our own value if the scenario ran before.
        _expect_json(answer, {"resource": None}, {"resource": VALUE})
        answer = self._write("write with a token that was changed", _tampered(token))
        _expect("401 invalid_token", _verdict(answer))
        answer = self._write("write with the token", token)
        _expect_json(answer, {"message": "resource created"})
        answer = self._call("GET", "/read-resource", "read what was written", token)
        _expect_json(answer, {"resource": VALUE})

    def _beyond(self, token: str) -> None:
        narrow = self._token("read", "a token for reading alone")
        answer = self._write("write with the token for reading alone", narrow)
        _expect("403 insufficient_scope", _verdict(answer))
        kid = self._signer(token, self._jwks())
        self._say(f"checked the token's signature without the issuer's help => valid, key {kid}")

    def _revocation(self) -> None:
        """End a token before its time; its API learns of that without asking about any token."""
        token = self._token("read", "a token to be revoked")
        if self._revocation_endpoint is None or not is_on_status_list(token):
            self._say("the token is on no status list, so it counts until it ends => not revoked")
            return
        with self._quietly():
            for _ in range(_USES):
                answer = self._call("GET", "/read-resource", "read again", token)
                _expect_json(answer, {"resource": VALUE})
        self._say(f"{_USES} requests with it => all of them 200 OK")
        answer = self._ask(self._revocation_request(token), "revoke the token")
        _expect("200", str(answer.status_code))
        self._until_refused(token)

    def _until_refused(self, token: str) -> None:
        began, is_over = time.monotonic(), False
        with self._quietly() as unsaid:
            while not is_over:
                answer = self._call("GET", "/read-resource", "read with the revoked token", token)
                took = time.monotonic() - began
                is_over = answer.status_code != 200 or took > self._told_within
                time.sleep(0 if is_over else _PAUSE)
        self._say(unsaid[-1])
        _expect("401 invalid_token", _verdict(answer))
        self._say(f"it was refused {took:.1f} s after it was revoked, at request {len(unsaid)}")

    @contextmanager
    def _quietly(self) -> Iterator[list[str]]:
        """Keep lines back, but for the one whose answer was not the expected one."""
        say, unsaid = self._say, list[str]()
        self._say = unsaid.append
        try:
            yield unsaid
        except _Unexpected:
            say(unsaid[-1])
            raise
        finally:
            self._say = say

    def _revocation_request(self, token: str) -> FetchRequest:
        """Build the request of RFC 7009 §2.1, by the client whose token it is."""
        form = {"token": token, "token_type_hint": "access_token"}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        now = time.time()  # noqa: TID251 - a shell
        self._good.apply(form, headers, audience=self._issuer, now=now)
        url, body = self._revocation_endpoint or "", urlencode(form).encode("ascii")
        return FetchRequest(method="POST", url=url, headers=headers, body=body)

    def _jwks(self) -> bytes:
        request = FetchRequest(method="GET", url=self._jwks_uri, headers={})
        answer = self._ask(request, "the issuer's public keys, open to everyone")
        _expect("200", str(answer.status_code))
        return answer.content

    def _signer(self, token: str, jwks: bytes) -> str:
        try:
            now = time.time()  # noqa: TID251 - a shell
            return verify_with_jwks(token, jwks, issuer=self._issuer, now=now)
        except ValueError as error:
            raise _Unexpected(f"expected a valid signature, got: {error}") from None

    def _token(self, scope: str, reason: str) -> str:
        answer = self._request_token(self._good, scope, reason)
        token = parse_token_response(_as_fetched(answer), self._good, now=0.0)
        document = _document(answer)
        _expect("token_type Bearer", f"token_type {document['token_type']}")
        _expect(f"scope {scope}", f"scope {document.get('scope')}")
        if not isinstance(document.get("expires_in"), int) or token.lifetime <= 0:
            raise _Unexpected("expected expires_in in whole seconds, got none")
        return token.value

    def _request_token(self, auth: ClientAuth, scope: str, reason: str) -> httpx.Response:
        now = time.time()  # noqa: TID251 - a shell
        request = build_token_request(
            self._token_endpoint, auth, issuer=self._issuer, now=now, scope=scope
        )
        return self._ask(request, reason)

    def _discover(self) -> None:
        # Discovery is not a step of the scenario, so it is not printed.
        answer = self._send(build_metadata_requests(self._issuer)[0])
        allowed = self._insecure_http
        metadata = parse_metadata(_as_fetched(answer), self._issuer, allow_insecure_http=allowed)
        self._token_endpoint = metadata.token_endpoint
        self._jwks_uri = metadata.jwks_uri or ""
        document = _document(answer)
        endpoint = document.get("revocation_endpoint")
        if isinstance(endpoint, str):
            self._revocation_endpoint = check_endpoint(endpoint, allow_insecure_http=allowed)
        # Half of it may be spent in a shared cache on the way.
        seconds = document.get("jwks_revalidation_seconds")
        self._told_within = 2 * (seconds if isinstance(seconds, int) else _REVALIDATION) + _LATE

    def _write(self, reason: str, token: str) -> httpx.Response:
        return self._call("POST", "/write-resource", reason, token, body={"value": VALUE})

    def _call(
        self,
        method: str,
        path: str,
        reason: str,
        token: str | None = None,
        *,
        body: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        request = FetchRequest(method=method, url=self._api + path, headers=headers, body=content)
        return self._ask(request, reason)

    def _ask(self, request: FetchRequest, reason: str) -> httpx.Response:
        answer = self._send(request)
        token = _document(answer).get("access_token")
        if isinstance(token, str):
            self._tokens.append(token)
        status = f"{answer.status_code} {answer.reason_phrase}"
        line = f"{request.method} {request.url}, {reason} => response: {status}"
        self._say(f"{line} {self._presentable(self._shortened(answer.text))}".rstrip())
        return answer

    def _send(self, request: FetchRequest) -> httpx.Response:
        # A client for each request, since what a proxy may carry depends on where it goes.
        deadline = Deadline()
        with (
            httpx.Client(
                transport=self._transport,
                verify=self._tls_context,
                trust_env=parse_origin(request.url).may_be_proxied,
                timeout=TIMEOUT,
            ) as client,
            deadline.within(TIMEOUT),
        ):
            return client.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=request.body,
                extensions={"trace": deadline.trace},
            )

    def _shortened(self, body: str) -> str:
        for token in self._tokens:
            shown = token[: min(_SHOWN_OF_A_TOKEN, len(token) // 2)]
            body = body.replace(token, f"{shown}…")
        return body

    def _presentable(self, text: str) -> str:
        text = "".join(c if c.isprintable() else " " for c in self._good.redact(text))
        return text if len(text) <= _LONGEST_BODY else f"{text[:_LONGEST_BODY]}…"


def _verdict(answer: httpx.Response) -> str:
    error = BEARER.challenge(answer.headers.get_list("www-authenticate")).get("error")
    return f"{answer.status_code} {error or 'without an error code'}"


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _as_fetched(answer: httpx.Response) -> FetchAnswer:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return FetchAnswer(status=answer.status_code, headers=headers, body=answer.content)


def _expect_json(answer: httpx.Response, *possible: dict[str, Any]) -> None:
    if answer.status_code != 200 or _document(answer) not in possible:
        wanted = " or ".join(f"200 {json.dumps(body, separators=(',', ':'))}" for body in possible)
        raise _Unexpected(f"expected {wanted}, got the answer above")


def _expect(wanted: str, got: str) -> None:
    if wanted != got:
        raise _Unexpected(f"expected {wanted}, got {got}")


def _tampered(token: str) -> str:
    signed, dot, signature = token.rpartition(".")
    return f"{signed}{dot}{'B' if signature[:1] == 'A' else 'A'}{signature[1:]}"
