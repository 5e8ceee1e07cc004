"""The demo scenario over HTTP: open route, refusals, tokens, reading and writing.

Each request is printed with its reason and its answer, which is compared with the expected one.
RFC 6749 §4.4, RFC 6750 §3.1, RFC 9068 §4.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from consumer.client_auth import ClientSecretBasic
from consumer.deadline import Deadline
from consumer.errors import ConsumerError
from consumer.fetch import FetchAnswer, FetchRequest
from consumer.metadata import (
    build_metadata_request,
    check_endpoint,
    check_issuer,
    parse_metadata,
)
from consumer.origin import parse_origin
from consumer.token_request import build_token_request, parse_token_response
from consumer.token_scheme import BEARER
from keys.errors import KeysError
from keys.jwks import parse_jwk_set
from keys.jwt import (
    MAX_TOKEN_BYTES,
    JwtProfile,
    check_identity,
    check_times,
    parse_jwt,
    verify_signature,
)
from keys.key_types import ALGORITHMS

VALUE = "foo-bar-moo"
TIMEOUT = 10.0
"""Seconds for each request, from connecting to the last byte."""
_LONGEST_BODY = 200
_SHOWN_OF_A_TOKEN = 12
_PATIENCE = 30.0
_PAUSE = 0.1

Rotate = Callable[[], tuple[str, float]]
"""Rotate the signing key; return the `kid` of the one that will sign, and in how many seconds."""


def run(
    *,
    issuer: str,
    api: str,
    client_id: str,
    client_secret: str,
    out: Callable[[str], None] = print,
    transport: httpx.BaseTransport | None = None,
    rotate: Rotate | None = None,
) -> int:
    """Run the scenario and print how it ended.

    Args:
        issuer: the issuer identifier.
        api: where the demo API is; a slash at the end does not matter.
        client_id: a client that may have the scopes `read` and `write`.
        client_secret: its secret; never shown.
        out: takes one line at a time.
        transport: carries the requests, instead of httpx's own.
        rotate: rotates the issuer's signing key, as its operator does; then the story goes on until
            another key signs, and a little further.

    Returns:
        0 if every answer was the expected one, else 1.
    """

    def say(line: str) -> None:
        out(f"[Consumer]: {line}")

    scenario = _Scenario(transport, say, issuer, api.rstrip("/"), client_id, client_secret)
    try:
        check_issuer(issuer, allow_insecure_http=False)
        check_endpoint(api, allow_insecure_http=False)
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
        client_id: str,
        client_secret: str,
    ) -> None:
        self._transport = transport
        self._tls_context = httpx.create_ssl_context()
        self._say = say
        self._issuer = issuer
        self._api = api
        self._good = ClientSecretBasic(client_id, client_secret)
        self._bad = ClientSecretBasic(client_id, "not-the-secret-of-this-client")
        self._tokens: list[str] = []
        self._token_endpoint = ""
        self._jwks_uri = ""

    def ending(self, reason: str) -> str:
        return self._presentable(f"the scenario ends here: {reason}")

    def run(self) -> None:
        self._refusals()
        token = self._token("read write", "a token for reading and writing")
        self._read_and_write(token)
        self._beyond(token)

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
        say, unsaid = self._say, list[str]()
        self._say = unsaid.append
        end = time.monotonic() + patience
        try:
            while self._signer(self._token("read", "a token meanwhile"), self._jwks()) != kid:
                answer = self._call("GET", "/read-resource", "read meanwhile", token)
                _expect_json(answer, {"resource": VALUE})
                _expect("another key", "another key" if time.monotonic() < end else "the same")
                time.sleep(_PAUSE)
        except _Unexpected:
            say(unsaid[-1])
            raise
        finally:
            self._say = say
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

    def _jwks(self) -> bytes:
        request = FetchRequest(method="GET", url=self._jwks_uri, headers={})
        answer = self._ask(request, "the issuer's public keys, open to everyone")
        _expect("200", str(answer.status_code))
        return answer.content

    def _signer(self, token: str, jwks: bytes) -> str:
        try:
            return verify_with_jwks(token, jwks, issuer=self._issuer)
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

    def _request_token(self, auth: ClientSecretBasic, scope: str, reason: str) -> httpx.Response:
        now = time.time()  # noqa: TID251 - a shell
        request = build_token_request(
            self._token_endpoint, auth, issuer=self._issuer, now=now, scope=scope
        )
        return self._ask(request, reason)

    def _discover(self) -> None:
        # Discovery is not a step of the scenario, so it is not printed.
        answer = _as_fetched(self._send(build_metadata_request(self._issuer)))
        metadata = parse_metadata(answer, self._issuer, allow_insecure_http=False)
        self._token_endpoint = metadata.token_endpoint
        self._jwks_uri = metadata.jwks_uri or ""

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
    error = BEARER.error(answer.headers.get_list("www-authenticate"))
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


def verify_with_jwks(token: str, jwks: bytes, *, issuer: str) -> str:
    """Return the `kid` of the key that signed a token which has not expired.

    Shows that an API can check a token without asking the issuer (RFC 7515 §5.2). A consumer never
    does this with its own tokens: to a client they are opaque (RFC 6749 §1.4).

    Args:
        token: a JWT access token (RFC 9068).
        jwks: the JWK set as it was served.
        issuer: what the token's `iss` has to be.

    Raises:
        ValueError: no such key, another signature, or not such a token; says which.
    """
    profile = JwtProfile(
        # A closed table: what the header asks for never decides how it is checked (RFC 8725 §3.1).
        typ="at+jwt", algorithms=frozenset(ALGORITHMS), max_bytes=MAX_TOKEN_BYTES
    )  # fmt: skip
    try:
        parsed = parse_jwt(token.encode(), profile)
        key = parse_jwk_set(jwks).select(parsed.header.kid, parsed.header.alg)
        if key is None:
            raise ValueError("the key of the token is not among the issuer's keys")
        verify_signature(parsed, key)
        # Whom the token is for is the API's question, and the API has answered it.
        now = time.time()  # noqa: TID251 - a shell
        check_times(parsed.claims, now, leeway=0, max_lifetime=math.inf)
        check_identity(parsed.claims, "sub", "client_id", "jti")
    except KeysError as error:
        raise ValueError(f"the token does not stand: {error}") from None
    if parsed.claims.get("iss") != issuer:
        raise ValueError("the token is of another issuer")
    return key.kid
