"""What an issuer for tests answers over HTTP: metadata, key set, tokens and status lists.

Any client gets a token for any API with any scope. What is ill-formed is refused as the real issuer
refuses it, by the same parser.
"""

import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from issuer.client_request import MAX_BODY, Evidence
from issuer.errors import (
    BodyTooLarge,
    InvalidClient,
    InvalidRequest,
    MethodNotAllowed,
    OAuthError,
    Reason,
    UnsupportedGrantType,
)
from issuer.token_request import TokenRequest, parse_token_request
from keys.dpop import InvalidProof, check_proof
from keys.encoding import decode_base64url, parse_json_object
from keys.identifiers import metadata_urls
from keys.jwks import build_jwk_set
from watchword.testing.faults import Fault, FaultScript
from watchword.testing.status_lists import list_token

if TYPE_CHECKING:
    from watchword.testing.issuer import Issuer

JSON = "application/json"
CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "client_secret_jwt"]
_REVOKED, _GOOD = b"\x01", b"\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request to the issuer; header names in lower case."""

    method: str
    url: str
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the issuer says; the body may be a token."""

    status: int = 200
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    delay: float = 0
    """Real seconds to wait before it is sent."""


def answer(issuer: "Issuer", asked: Asked, faults: FaultScript) -> Answer:
    """Answer one request, as the next fault of its endpoint says if there is one."""
    endpoint = _endpoint(issuer, urlsplit(asked.url).path)
    if endpoint is None:
        return json_answer({}, status=404)
    issuer.requests[endpoint] += 1
    fault = faults.take(endpoint) or Fault(endpoint=endpoint)
    given = _ANSWERS[endpoint](issuer, asked, fault.claims)
    return _with_fault(given, fault)


def json_answer(document: object, **members: Any) -> Answer:  # noqa: ANN401 - those of Answer
    """Answer with a document."""
    return Answer(body=json.dumps(document).encode(), **members)


def claims_of(token: str) -> dict[str, Any]:
    """Read the claims of a token without verifying it.

    Raises:
        ValueError: it is no token.
    """
    segments = token.split(".")
    if len(segments) != 3:
        raise ValueError("this is no token: it has not three parts")
    return parse_json_object(decode_base64url(segments[1]))


def _endpoint(issuer: "Issuer", path: str) -> str | None:
    base = urlsplit(issuer.url).path.rstrip("/")
    if path in [urlsplit(url).path for url in metadata_urls(issuer.url)]:
        return "metadata"
    below = path.removeprefix(base) if path.startswith(base) else ""
    if below in ("/jwks", "/.well-known/jwks.json"):
        return "jwks"
    if below.startswith("/status-lists/"):
        return "status_lists"
    return "token" if below == "/token" else None


def _metadata(issuer: "Issuer", asked: Asked, claims: Mapping[str, Any]) -> Answer:
    base = issuer.url.rstrip("/")
    return json_answer(
        {
            "issuer": issuer.url,
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/jwks",
            "grant_types_supported": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
            "token_endpoint_auth_methods_supported": _METHODS,
            "response_types_supported": [],
        }
    )


def _key_set(issuer: "Issuer", asked: Asked, claims: Mapping[str, Any]) -> Answer:
    return json_answer(build_jwk_set(issuer.published_keys))


def _status_list(issuer: "Issuer", asked: Asked, claims: Mapping[str, Any]) -> Answer:
    """Answer with the list of one token: an API has each fresh, whatever it knew before."""
    uri = asked.url.partition("?")[0]
    data = _REVOKED if issuer.is_revoked(uri.rpartition("/")[2]) else _GOOD
    now = int(issuer.clock())
    signed = list_token(issuer.signing, uri, data, iat=now, exp=now + 3600)
    return Answer(media_type="application/statuslist+jwt", body=signed)


def _token(issuer: "Issuer", asked: Asked, claims: Mapping[str, Any]) -> Answer:
    unstored = {"cache-control": "no-store", "pragma": "no-cache"}
    try:
        document = _issue(issuer, asked, claims)
    except OAuthError as error:
        document = {
            "error": error.code,
            "error_description": error.description or error.reason.value,
        }
        more = {name.decode(): value.decode() for name, value in error.headers}
        return json_answer(document, status=error.status, headers=unstored | more)
    except InvalidProof as error:
        document = {"error": "invalid_dpop_proof", "error_description": error.fault.value}
        return json_answer(document, status=400, headers=unstored)
    return json_answer(document, headers=unstored)


def _issue(issuer: "Issuer", asked: Asked, claims: Mapping[str, Any]) -> dict[str, Any]:
    if asked.method != "POST":
        raise MethodNotAllowed(Reason.METHOD_NOT_ALLOWED, "use POST")
    if len(asked.body) > MAX_BODY:
        raise BodyTooLarge(Reason.BODY_TOO_LARGE, "the body is too large")
    query = urlsplit(asked.url).query.encode()
    request = parse_token_request(asked.headers, query, asked.body, url=asked.url)
    client_id = _authenticate(request.evidence, issuer.secret)
    bound = _bound(request.evidence)
    about = {**_exchanged(request, client_id), **bound, **claims}
    audience = list(request.resources) or ([request.audience] if request.audience else [])
    token = issuer.token(
        scope=request.scope or (),
        audience=audience[0] if len(audience) == 1 else audience or None,
        client_id=client_id,
        claims=about,
    )
    kind = "DPoP" if bound else "Bearer"
    document = {"access_token": token, "token_type": kind, "expires_in": issuer.lifetime}
    if request.scope:
        document["scope"] = request.scope
    return document | ({"issued_token_type": _ACCESS_TOKEN} if request.subject_token else {})


def _authenticate(evidence: Evidence, secret: str | None) -> str:
    """Return the id of a client: any, as long as it has the secret, if there is one."""
    shown = evidence.basic or evidence.secret_post
    if secret is not None and not (
        shown is not None and hmac.compare_digest(shown.secret.encode(), secret.encode())
    ):
        raise InvalidClient(Reason.WRONG_SECRET)
    client_id = shown.client_id if shown is not None else evidence.client_id
    if client_id is None and evidence.assertion is not None:
        client_id = evidence.assertion.client_id
    if client_id is None:
        raise InvalidClient(Reason.NO_CREDENTIALS)
    return client_id


def _bound(evidence: Evidence) -> dict[str, Any]:
    """Give the claim that binds a token to the key of the client's proof; none without a proof.

    Raises:
        InvalidProof: the proof does not stand. Its time is compared with the machine's, as the
            client's clock is not the test's to turn.
    """
    if not evidence.dpop_proofs:
        return {}
    now = time.time()  # noqa: TID251 - where the clock enters
    proof = check_proof(evidence.dpop_proofs, method="POST", url=evidence.url, now=now)
    return {"cnf": {"jkt": proof.jkt}}


def _exchanged(request: TokenRequest, client_id: str) -> dict[str, Any]:
    """Give the claims of a token that is exchanged (RFC 8693 §4.1); none for any other."""
    if request.grant_type is None:
        raise InvalidRequest(Reason.GRANT_TYPE_MISSING, "grant_type is missing")
    if request.grant_type == CLIENT_CREDENTIALS:
        return {}
    if request.grant_type != TOKEN_EXCHANGE:
        raise UnsupportedGrantType(Reason.UNSUPPORTED_GRANT)
    subject = _subject_of(request.subject_token)
    if subject is None:
        raise InvalidRequest(Reason.SUBJECT_MISSING, "subject_token is missing or no token")
    return {"sub": subject, "act": {"sub": client_id}}


def _subject_of(token: str | None) -> str | None:
    try:
        subject = claims_of(token or "").get("sub")
    except ValueError:
        return None
    return subject if isinstance(subject, str) else None


def _with_fault(given: Answer, fault: Fault) -> Answer:
    """Change a good answer as a fault says."""
    headers = dict(given.headers)
    if fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    answer = replace(given, headers=headers, delay=fault.delay, status=fault.status or given.status)
    if fault.body is not None:
        media_type = JSON if fault.body.startswith(("{", "[")) else "text/html"
        return replace(answer, body=fault.body.encode(), media_type=media_type)
    if answer.status >= 400 and given.status < 400:
        error = {"error": "temporarily_unavailable"}
        return replace(answer, body=json.dumps(error).encode(), media_type=JSON)
    return answer


_ANSWERS: Mapping[str, Callable[["Issuer", Asked, Mapping[str, Any]], Answer]] = {
    "metadata": _metadata,
    "jwks": _key_set,
    "token": _token,
    "status_lists": _status_list,
}
