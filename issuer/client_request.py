"""Parse a form that a client posts: headers, query and body in, parameters and evidence out.

Pure. RFC 6749 §2.3 and §3.2, which hold for every endpoint that authenticates clients. Parsing
decides whether the request is well-formed; `issuer.client_auth` decides whether its evidence proves
anything.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from issuer.client_auth.assertion import (
    ASSERTION_TYPES,
    BadAssertion,
    ClaimedAssertion,
    claim_assertion,
)
from issuer.errors import InvalidClient, InvalidRequest, Reason
from keys.client_cert import Chain

MAX_BODY = 65_536
"""Bytes of a request body; more is refused with 413."""

MAX_FIELDS = 64
"""Fields of a request body; a token request has fewer than ten."""

CREDENTIALS = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})
"""The parameters of client authentication, which every endpoint recognises."""

RESOURCE = "resource"
"""The one parameter that may repeat (RFC 8707 §2), where it is recognised."""

_QUERY_SECRETS = frozenset({b"client_secret", b"client_assertion", b"assertion"})
# What form-encoding leaves as it is; most values of a token request are nothing else.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/-]*")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 6749 Appendix A: client-id and client-secret are *VSCHAR.
_VSCHARS = re.compile(r"[\x20-\x7E]+")

# What is made for every request is a NamedTuple: immutable as a frozen dataclass, and made in a
# third of its time.


class ClientPassword(NamedTuple):
    """A client id and a plain secret (RFC 6749 §2.3.1)."""

    client_id: str
    secret: str

    def __repr__(self) -> str:
        """Show whose secret it is, not the secret."""
        return f"ClientPassword(client_id={self.client_id!r})"


class Evidence(NamedTuple):
    """All that a request shows of its sender; none of it is verified.

    At most one of `basic`, `secret_post` and `assertion` is present: RFC 6749 §2.3 forbids a second
    authentication. A certificate and DPoP proofs may come beside any of them.

    Args:
        client_id: the form parameter, which only identifies.
        basic: id and secret of the `Authorization` header (client_secret_basic).
        secret_post: id and secret of the form (client_secret_post).
        assertion: what the assertion of the form claims (RFC 7521 §4.2).
        peer_certificate: DER of the certificate that the TLS connection was authenticated with
            (RFC 8705); None without one.
        intermediates: DER of the certificates that were shown beside it.
        dpop_proofs: the values of all `DPoP` headers (RFC 9449 §4.1).
        method: the HTTP method, which DPoP proofs are bound to.
        url: the public URL of the endpoint, from configuration and never from `Host`.
        peer_address: the network address of the peer; None if it is not known.
    """

    client_id: str | None = None
    basic: ClientPassword | None = None
    secret_post: ClientPassword | None = None
    assertion: ClaimedAssertion | None = None
    peer_certificate: bytes | None = None
    intermediates: Chain = ()
    dpop_proofs: tuple[bytes, ...] = ()
    method: str = "POST"
    url: str = ""
    peer_address: str | None = None

    @property
    def may_repeat(self) -> bool:
        """Whether the same request, sent again, proves the same: not so with what counts once.

        An assertion and a DPoP proof count once (RFC 7523 §3, RFC 9449 §11.1), and a certificate is
        not in the request.
        """
        has_secret = self.basic is not None or self.secret_post is not None
        return has_secret and not self.dpop_proofs and self.peer_certificate is None

    def __repr__(self) -> str:
        """Show which client the request claims to be of, and not what it proves that by."""
        claimed = self.basic or self.secret_post
        return f"Evidence(client_id={claimed.client_id if claimed else self.client_id!r})"


class ClientRequest(NamedTuple):
    """A well-formed request of a client that is not authenticated yet.

    Args:
        evidence: what the client shows to authenticate itself.
        parameters: the recognised ones that have a value, each once; credentials included.
        resources: the `resource` parameters as sent (RFC 8707 §2).
    """

    evidence: Evidence
    parameters: dict[str, str]
    resources: tuple[str, ...]

    def __repr__(self) -> str:
        """Show which client the request claims to be of; parameters hold secrets and tokens."""
        return f"ClientRequest(evidence={self.evidence!r})"


def parse_client_request(
    headers: Iterable[tuple[bytes, bytes]],
    query: bytes,
    body: bytes,
    *,
    recognised: frozenset[str],
    url: str,
    peer_address: str | None = None,
    peer_chain: Chain = (),
) -> ClientRequest:
    """Parse a request, which the caller has found to be a POST.

    Args:
        headers: raw header lines with lower-case names, duplicates kept.
        query: the raw query string.
        body: the whole body.
        recognised: the parameters of the endpoint, with `CREDENTIALS`; all others are ignored.
        url: the public URL of the endpoint.
        peer_address: the network address of the peer.
        peer_chain: the certificates that it showed, its own first.

    Raises:
        InvalidRequest: media type, encoding, parameters or number of credentials are wrong (400).
        InvalidClient: the credentials are malformed (401).
    """
    authorization, dpop_proofs = _check_headers(headers)
    _refuse_secrets_in_query(query)
    parameters, resources = _parse_form(body, recognised)
    client_id = parameters.get("client_id")
    secret = parameters.get("client_secret")
    kind, assertion = parameters.get("client_assertion_type"), parameters.get("client_assertion")
    # RFC 7521 §4.2 requires both. One alone is still an attempt to authenticate.
    has_assertion = kind is not None or assertion is not None
    # RFC 6749 §2.3: the client MUST NOT use more than one authentication method in a request.
    if (authorization is not None) + (secret is not None) + has_assertion > 1:
        raise InvalidRequest(Reason.SEVERAL_MECHANISMS, "more than one client authentication")
    evidence = Evidence(
        client_id=client_id,
        basic=None if authorization is None else _basic(authorization, client_id),
        secret_post=None if secret is None else _secret_post(client_id, secret),
        assertion=_assertion(kind, assertion, client_id) if has_assertion else None,
        peer_certificate=peer_chain[0] if peer_chain else None,
        intermediates=peer_chain[1:],
        dpop_proofs=dpop_proofs,
        url=url,
        peer_address=peer_address,
    )
    return ClientRequest(evidence, parameters, resources)


def _check_headers(
    headers: Iterable[tuple[bytes, bytes]],
) -> tuple[bytes | None, tuple[bytes, ...]]:
    """Check the media type; return the `Authorization` value and those of `DPoP`."""
    media_types, authorizations = [], []
    proofs: tuple[bytes, ...] = ()
    for name, value in headers:
        if name == b"content-type":
            media_types.append(value)
        elif name == b"authorization":
            authorizations.append(value)
        elif name == b"dpop":
            proofs += (value,)
        elif name == b"content-encoding" and value.strip().lower() != b"identity":
            raise InvalidRequest(Reason.CONTENT_ENCODING, "the body must not be encoded")
    if len(media_types) != 1 or not _is_form(media_types[0]):
        raise InvalidRequest(
            Reason.MEDIA_TYPE, "the body must be application/x-www-form-urlencoded"
        )
    if len(authorizations) > 1:
        raise InvalidRequest(Reason.SEVERAL_MECHANISMS, "more than one client authentication")
    return (authorizations[0] if authorizations else None), proofs


def _is_form(value: bytes) -> bool:
    # RFC 9110 §8.3.1: the type is case-insensitive; parameters such as charset are tolerated.
    if value == b"application/x-www-form-urlencoded":
        return True
    return value.partition(b";")[0].strip().lower() == b"application/x-www-form-urlencoded"


def _refuse_secrets_in_query(query: bytes) -> None:
    # RFC 6749 §2.3.1: credentials MUST NOT be in the request URI. Names are compared decoded, since
    # whatever logs the URI may decode it as well.
    for pair in query.split(b"&") if query else ():
        if unquote_to_bytes(pair.partition(b"=")[0]) in _QUERY_SECRETS:
            raise InvalidRequest(
                Reason.CREDENTIALS_IN_QUERY, "credentials must not be in the query"
            )


def _parse_form(body: bytes, recognised: frozenset[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Decode the form strictly; return the recognised parameters, and the resources asked for."""
    if body.count(b"&") >= MAX_FIELDS:
        raise InvalidRequest(Reason.MALFORMED_BODY, "too many parameters")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(Reason.MALFORMED_BODY, "the body is not UTF-8") from None
    parameters: dict[str, str] = {}
    resources: list[str] = []
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if name not in recognised:
            name = form_decode(name)
        # Values of unrecognised parameters are decoded as well: a malformed body is refused as a
        # whole, so that no other parser of it can see another request in it.
        value = form_decode(value)
        if name not in recognised:
            continue
        if name == RESOURCE:
            if value:
                resources.append(value)
            continue
        # RFC 6749 §3.2: MUST NOT repeat. Counted before empty ones are dropped.
        if name in parameters:
            raise InvalidRequest(Reason.REPEATED_PARAMETER, "a parameter is repeated")
        parameters[name] = value
    # RFC 6749 §3.2: a parameter without a value MUST be treated as if it were omitted, and
    # unrecognised ones MUST be ignored.
    if "" in parameters.values():
        parameters = {name: value for name, value in parameters.items() if value}
    return parameters, tuple(resources)


def form_decode(text: str) -> str:
    """Decode one name or value of `application/x-www-form-urlencoded`, strictly.

    Raises:
        InvalidRequest: a bad percent escape, not UTF-8, or a NUL.
    """
    if _PLAIN.fullmatch(text):
        return text
    # The escapes of URIs and URNs, decoded in a fifth of the time; no other escape is plain.
    plain = text.replace("%3A", ":").replace("%2F", "/")
    if _PLAIN.fullmatch(plain):
        return plain
    text = text.replace("+", " ")
    # The standard library leaves a broken escape as it is; two readers could then disagree.
    if _BROKEN_ESCAPE.search(text):
        raise InvalidRequest(Reason.MALFORMED_BODY, "a percent escape is malformed")
    try:
        text = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(Reason.MALFORMED_BODY, "a value is not UTF-8") from None
    if "\0" in text:
        raise InvalidRequest(Reason.MALFORMED_BODY, "a value has a NUL")
    return text


def _assertion(kind: str | None, assertion: str | None, client_id: str | None) -> ClaimedAssertion:
    if kind is None or kind not in ASSERTION_TYPES or assertion is None:
        raise InvalidClient(Reason.UNSUPPORTED_METHOD)
    try:
        return claim_assertion(kind, assertion, client_id)
    except BadAssertion as error:
        raise InvalidClient(error.reason) from None


def _secret_post(client_id: str | None, secret: str) -> ClientPassword:
    if client_id is None:
        raise InvalidClient(Reason.NO_CREDENTIALS)
    # No client can have such an id or secret, so it is answered as an unknown client is.
    if not _VSCHARS.fullmatch(client_id) or not _VSCHARS.fullmatch(secret):
        raise InvalidClient(Reason.UNKNOWN_CLIENT)
    return ClientPassword(client_id, secret)


def _basic(authorization: bytes, body_client_id: str | None) -> ClientPassword:
    # RFC 9110 §11.1: the scheme is case-insensitive, and one or more spaces follow it.
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        raise InvalidClient(Reason.UNSUPPORTED_SCHEME)
    password = decode_basic(encoded.strip(b" "))
    # Beside Basic the parameter only identifies; it must name the same client.
    if body_client_id is not None and body_client_id != password.client_id:
        raise InvalidRequest(Reason.CLIENT_ID_MISMATCH, "client_id names another client")
    return password


def decode_basic(encoded: bytes) -> ClientPassword:
    """Decode Basic credentials: base64, split at the first colon, form-decode each.

    RFC 6749 §2.3.1.

    Raises:
        InvalidClient: not strict base64, no colon, bad escape or UTF-8, empty or outside VSCHAR.
    """
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
        # RFC 7617 §2: an id has no colon, a secret may. A colon of an id was form-encoded before.
        client_id, colon, secret = text.partition(":")
        client_id, secret = form_decode(client_id), form_decode(secret)
    except (binascii.Error, UnicodeDecodeError, InvalidRequest):
        raise InvalidClient(Reason.MALFORMED_BASIC) from None
    if not colon or not _VSCHARS.fullmatch(client_id) or not _VSCHARS.fullmatch(secret):
        raise InvalidClient(Reason.MALFORMED_BASIC)
    return ClientPassword(client_id, secret)
