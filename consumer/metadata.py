"""Find the token endpoint through the issuer's metadata (RFC 8414)."""

from dataclasses import dataclass
from typing import Any

from consumer.errors import MetadataError, TokenEndpointUnreachable
from consumer.fetch import FetchAnswer, FetchRequest, ask_for, parse_json_object, retry_after
from consumer.origin import parse_origin, require_secure
from keys import identifiers
from keys.identifiers import InsecureHttp

# File servers and object stores call a document by the last two; it is parsed strictly anyway.
_MEDIA_TYPES = frozenset({"application/json", "text/plain", "application/octet-stream"})
_LONGEST_QUOTE = 260


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerMetadata:
    """The members that a consumer needs."""

    issuer: str
    token_endpoint: str
    jwks_uri: str | None


def check_issuer(issuer: str, *, allow_insecure_http: InsecureHttp) -> str:
    """Return the issuer identifier unchanged if it can be one (RFC 8414 §2).

    Raises:
        ValueError: not one, as `keys.identifiers` has it.
        InsecureUrl: plain http to another machine.
    """
    try:
        require_secure(parse_origin(issuer), allow_insecure_http=allow_insecure_http)
        return identifiers.check_issuer(issuer, allow_insecure_http=allow_insecure_http)
    except ValueError as error:
        raise ValueError(f"the issuer {error}") from None


def check_resource(resource: str) -> str:
    """Return the resource identifier unchanged if it can be one (RFC 8707 §2).

    Raises:
        ValueError: not an absolute URI without fragment.
    """
    try:
        return identifiers.check_resource(resource)
    except ValueError as error:
        raise ValueError(f"the resource {error}") from None


def check_endpoint(url: str, *, allow_insecure_http: InsecureHttp) -> str:
    """Return an endpoint's URL unchanged if a credential may be sent there.

    Raises:
        ValueError: not an absolute URL, or one with a fragment (RFC 6749 §3.2) or a user name.
        InsecureUrl: plain http to another machine.
    """
    try:
        origin = parse_origin(url)
    except ValueError as error:
        raise ValueError(f"the endpoint's URL {error}") from None
    require_secure(origin, allow_insecure_http=allow_insecure_http)
    return url


def build_metadata_requests(issuer: str) -> tuple[FetchRequest, ...]:
    """Build the questions for the metadata of an issuer, the later for want of an answer.

    First that of RFC 8414 §3.1, then those for OpenID metadata (§5).
    """
    return tuple(map(ask_for, identifiers.metadata_urls(issuer)))


def parse_metadata(
    answer: FetchAnswer,
    issuer: str,
    *,
    allow_insecure_http: InsecureHttp,
    has_certificate: bool = False,
) -> IssuerMetadata:
    """Return the metadata if they are this issuer's and usable.

    Args:
        answer: what came back.
        issuer: the issuer identifier.
        allow_insecure_http: where plain http may lead to.
        has_certificate: whether the client's connections have a certificate of its own.

    Raises:
        MetadataError: no such document, another issuer's, or one without a token endpoint.
        InsecureUrl: an endpoint on plain http.
        TokenEndpointUnreachable: the server cannot answer now.
    """
    if answer.status == 429 or answer.status >= 500:
        raise TokenEndpointUnreachable(
            f"the metadata of {issuer} cannot be had now ({answer.status})", retry_after(answer)
        )
    if answer.status != 200:
        url = identifiers.metadata_urls(issuer)[0]
        raise MetadataError(
            f"{url} answered {answer.status}, expected 200; check the issuer, or name its "
            "token_endpoint"
        )
    try:
        document = parse_json_object(answer, media_types=_MEDIA_TYPES)
    except ValueError as error:
        raise MetadataError(f"the metadata of {issuer} cannot be read: {error}") from None
    # RFC 8414 §3.3: MUST be identical, as strings; nothing is normalised.
    found = document.get("issuer")
    if found != issuer:
        raise MetadataError(
            f"the metadata found for {issuer} name another issuer, "
            f"{ascii(found)[:_LONGEST_QUOTE]}; write the issuer to the letter as it calls itself"
        )
    if issuer.startswith("https:"):
        allow_insecure_http = False  # over TLS nothing leads out of it
    endpoint = _url(document, "token_endpoint", allow_insecure_http)
    aliases = document.get("mtls_endpoint_aliases")
    if has_certificate and isinstance(aliases, dict):
        # RFC 8705 §5: who shows a certificate prefers the alias, where there is one.
        endpoint = _url(aliases, "token_endpoint", allow_insecure_http) or endpoint
    if endpoint is None:
        raise MetadataError(f"the metadata of {issuer} have no token_endpoint")
    jwks_uri = _url(document, "jwks_uri", allow_insecure_http)
    return IssuerMetadata(issuer=issuer, token_endpoint=endpoint, jwks_uri=jwks_uri)


def _url(document: dict[str, Any], member: str, allow_insecure_http: InsecureHttp) -> str | None:
    value = document.get(member)
    if value is None:
        return None
    if not isinstance(value, str):
        raise MetadataError(f"the {member} of the metadata is not a string")
    try:
        return check_endpoint(value, allow_insecure_http=allow_insecure_http)
    except ValueError as error:
        raise MetadataError(f"the {member} of the metadata cannot be used: {error}") from None
