"""Targets: requests as the issuer and an API get them, and answers as a consumer gets them."""

import base64
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

from consumer.errors import ConsumerError
from consumer.fetch import FetchAnswer, retry_after
from consumer.metadata import IssuerMetadata, parse_metadata
from consumer.token_cache import Token
from consumer.token_request import parse_token_response
from consumer.token_scheme import Challenge, parse_challenges
from fuzz.target import Target, demand
from issuer.administration.http.problems import RequestRefused
from issuer.administration.http.route import (
    Parameter,
    Precondition,
    Value,
    parse_if_match,
    parse_path,
    parse_query,
    write_path,
)
from issuer.client_auth.assertion import ASSERTION_TYPES
from issuer.client_request import ClientPassword, decode_basic
from issuer.errors import InvalidClient, InvalidGrant, InvalidRequest
from issuer.registration.request import parse_bearer
from issuer.registry.errors import InvalidValue
from issuer.token_request import TokenRequest, parse_token_request
from keys.remote.answer import Fetched
from keys.remote.jwks_cache import CachePolicy, Freshness, freshness_of
from resource_api.bearer import check_token68, find_bearer, find_dpop
from resource_api.errors import ResourceError
from watchword.process.addresses import Peer, find_client
from watchword.process.refusals import Refused
from watchword.testing.forge import ISSUER

_FORM = (b"content-type", b"application/x-www-form-urlencoded")
_WORDS_OF_FORMS = (
    *("grant_type=client_credentials", "scope=read", "resource=https%3A%2F%2Fapi.example", "&"),
    *("client_id=", "client_secret=", "client_assertion=", "client_assertion_type=", "assertion="),
    *("authorization_details=%5B%5D", "subject_token=", "audience=", "%00", "%ff", "+", "%2B"),
    *map(quote_plus, sorted(ASSERTION_TYPES)),
    *("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer", "Basic ", "Bearer "),
)
_PROXY: Peer = ("10.0.0.1", 4711)
_TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
_PARAMETERS = (
    Parameter(name="limit", kind="integer", description="", default=10, least=1, most=100),
    Parameter(name="after", kind="string", description=""),
    Parameter(name="enabled", kind="boolean", description=""),
    Parameter(name="method", kind="string", description="", choices=("none", "some")),
)
_POLICY = CachePolicy()


class _NoSecrets:
    """Takes nothing out of a text."""

    def redact(self, text: str) -> str:
        """Return the text."""
        return text


def _split(data: bytes, count: int) -> list[bytes]:
    """Take an input apart at its first line ends, into so many parts."""
    parts = data.split(b"\n", count - 1)
    return parts + [b""] * (count - len(parts))


def _parse_form(data: bytes) -> TokenRequest:
    query, authorization, body = _split(data, 3)
    headers = [_FORM, *([(b"authorization", authorization)] if authorization else [])]
    return parse_token_request(headers, query, body, url=f"{ISSUER}/token")


def _as_other_forms(data: bytes, request: TokenRequest) -> None:
    body = _split(data, 3)[2].decode()
    pairs = parse_qsl(body, keep_blank_values=True, errors="strict", max_num_fields=64)
    others = dict(pairs)
    sent = {
        name: value
        for name, value in request._asdict().items()
        if name not in ("evidence", "resources") and value is not None
    }
    demand(all(others[name] == value for name, value in sent.items()), "Python reads other values")
    resources = tuple(value for name, value in pairs if name == "resource" and value)
    demand(resources == request.resources, "Python reads other resources")
    evidence = request.evidence
    shown = [evidence.basic, evidence.secret_post, evidence.assertion]
    demand(sum(each is not None for each in shown) <= 1, "two authentications in one request")
    rewritten = urlencode([pair for pair in pairs if pair[1]]).encode()
    query, authorization, _ = _split(data, 3)
    again = _parse_form(b"\n".join((query, authorization, rewritten)))
    demand(again == request, "written and read again it is another request")


def _same_password(data: bytes, password: ClientPassword) -> None:
    text = f"{quote(password.client_id, safe='')}:{quote(password.secret, safe='')}"
    demand(decode_basic(base64.b64encode(text.encode())) == password, "another password")
    demand(password.secret not in repr(password) or len(password.secret) < 40, "a secret is shown")


def _lines(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", line) for line in data.split(b"\n")]


def _find_token(data: bytes) -> bytes:
    headers = _lines(data)
    return check_token68(find_bearer(headers) or find_dpop(headers))


def _one_token(data: bytes, token: bytes) -> None:
    demand(token in data and b"\n" not in data, "the token is not that of the only line")
    demand(token.isascii() and not set(token) & set(b' ,\t"'), "the token is no token68")
    if data[:6].lower() == b"bearer":
        demand(parse_bearer(_lines(data)).encode() == token, "the issuer reads another token")


def _find_client(data: bytes) -> tuple[Peer, str | None]:
    names = {b"f": b"forwarded", b"x": b"x-forwarded-for", b"p": b"x-forwarded-proto"}
    headers = [
        (names[line[:1]], line[1:].strip()) for line in data.split(b"\n") if line[:1] in names
    ]
    return find_client(_PROXY, headers, _TRUSTED)


def _is_address(data: bytes, found: tuple[Peer, str | None]) -> None:
    (address, port), scheme = found
    demand(str(ip_address(address)) == address, "the client has no address")
    demand(0 <= port <= 99_999 and scheme in (None, "http", "https"), "no port or scheme")


def _parse_call(data: bytes) -> tuple[tuple[str, ...] | None, dict[str, Value], Precondition]:
    path, query, tags = _split(data, 3)
    return (
        parse_path(path.decode("latin-1")),
        parse_query(query, _PARAMETERS),
        parse_if_match(tags.decode("latin-1") or None),
    )


def _same_path(data: bytes, call: tuple[tuple[str, ...] | None, Any, Any]) -> None:
    segments = call[0]
    if segments is not None:
        demand(parse_path(write_path(*segments)) == segments, "another path")


def _parse_challenges(data: bytes) -> tuple[Challenge, ...]:
    return parse_challenges(data.decode("latin-1"))


def _same_challenges(data: bytes, challenges: Sequence[Challenge]) -> None:
    written = ", ".join(_write_challenge(each) for each in challenges)
    if len(written) <= 8192:
        demand(parse_challenges(written) == tuple(challenges), "other challenges")


def _write_challenge(challenge: Challenge) -> str:
    quoted = (
        (name, value.replace("\\", "\\\\").replace('"', '\\"'))
        for name, value in challenge.parameters.items()
    )
    return f"{challenge.scheme} " + ", ".join(f'{name}="{value}"' for name, value in quoted)


def _answer(data: bytes) -> FetchAnswer:
    """Make an answer: status, some headers, and the rest is its body."""
    status, kind, wait, date, body = _split(data, 5)
    number = int(status) if status.isdigit() and len(status) == 3 else 200
    headers: Mapping[str, str] = {
        "content-type": kind.decode("latin-1") or "application/json",
        "retry-after": wait.decode("latin-1"),
        "date": date.decode("latin-1"),
    }
    return FetchAnswer(status=number, headers=headers, body=body)


def _parse_token_answer(data: bytes) -> Token:
    answer = _answer(data)
    wait = retry_after(answer)
    demand(wait is None or 0 <= wait <= 300, "a server puts the client out of action")
    return parse_token_response(answer, _NoSecrets(), now=0.0)


def _fits_a_header(data: bytes, token: Token) -> None:
    demand(token.value.isascii() and token.value.isprintable(), "the token fits into no header")
    demand(" " not in token.value and 0 <= token.lifetime < 2**53, "no token or no lifetime")


def _parse_issuer(data: bytes) -> IssuerMetadata:
    return parse_metadata(
        _answer(data), ISSUER, allow_insecure_http=False, has_certificate=len(data) % 2 == 0
    )


def _is_secure(data: bytes, metadata: IssuerMetadata) -> None:
    for url in filter(None, (metadata.token_endpoint, metadata.jwks_uri)):
        demand(url.lower().startswith("https://"), "secrets would be sent in the clear")


def _freshness(data: bytes) -> Freshness:
    control, age = _split(data, 2)
    headers = {"cache-control": control.decode("latin-1"), "age": age.decode("latin-1")}
    return freshness_of(Fetched(status=200, headers=headers), _POLICY)


def _bounded(data: bytes, found: Freshness) -> None:
    demand(0 < found.check_after <= found.fresh_for <= _POLICY.maximum_lifetime, "kept for ever")
    demand(found.dead_after <= found.fresh_for + _POLICY.stale_for, "served for ever")


_OAUTH = (InvalidRequest, InvalidClient, InvalidGrant)
_JSON_ANSWER = (
    *("200\n", "application/json\n", "\n", '{"access_token":"a","token_type":"Bearer"', "}"),
    *('"expires_in":', '"3600"', '"scope":', '"error":"invalid_client"', '"error_description":'),
    *("429\n", "120\n", "Sun, 06 Nov 1994 08:49:37 GMT\n", "1e999", "NaN", '"DPoP"'),
    *(f'"{name}":' for name in ("issuer", "token_endpoint", "jwks_uri", "mtls_endpoint_aliases")),
    *(f'"{ISSUER}"', f'"{ISSUER}/token"'),
)

TARGETS = {
    "form": Target(_parse_form, _OAUTH, _as_other_forms, words=_WORDS_OF_FORMS),
    "basic": Target(decode_basic, (InvalidClient,), _same_password, words=("%3A", "Og==", "Oj")),
    "authorization": Target(
        _find_token, (ResourceError,), _one_token, words=("Bearer ", "DPoP ", "Basic ", ", ", "=")
    ),
    "forwarded": Target(
        _find_client,
        (Refused,),
        _is_address,
        words=("fFor=", "xfor", ';proto="', 'for="[2001:db8::1]:47"', "10.0.0.2", "\np", "unknown"),
    ),
    "admin-call": Target(
        _parse_call,
        (RequestRefused, InvalidValue),
        _same_path,
        words=("/clients/", "limit=", "after=%", "enabled=true", 'W/"17"', '"17", ', "*"),
    ),
    "challenge": Target(
        _parse_challenges,
        (),
        _same_challenges,
        words=('Bearer realm="', 'error="invalid_token"', "DPoP algs=", "Negotiate oYG2==", '\\"'),
        length=8192,
    ),
    "token-answer": Target(
        _parse_token_answer, (ConsumerError,), _fits_a_header, words=_JSON_ANSWER
    ),
    "issuer-metadata": Target(_parse_issuer, (ConsumerError,), _is_secure, words=_JSON_ANSWER),
    "freshness": Target(
        _freshness, (), _bounded, words=("max-age=", "no-store", "must-revalidate", "no-cache", ",")
    ),
}
