"""Parse a token request: a form of a client in, a `TokenRequest` out (RFC 6749 §3.2, §4.4.2).

Pure. `issuer.grants` decides what the client gets.
"""

from collections.abc import Iterable
from typing import NamedTuple

from issuer.client_auth.assertion import BadAssertion, claim_assertion
from issuer.client_request import CREDENTIALS, RESOURCE, Evidence, parse_client_request
from issuer.errors import InvalidGrant, InvalidRequest, Reason
from issuer.registry.grant_types import JWT_BEARER
from keys.client_cert import Chain


class TokenRequest(NamedTuple):
    """A well-formed token request of a client that is not authenticated yet.

    Every field after the second is the parameter of its name: as sent, None if omitted. A further
    field is recognised by the endpoint.

    Args:
        evidence: what the client shows to authenticate itself.
        resources: the `resource` parameters as sent (RFC 8707 §2).
        grant_type: refused after authentication if it was omitted.
        scope: what is asked for (RFC 6749 §3.3).
        authorization_details: what is asked for in detail (RFC 9396 §2).
        subject_token: in an exchange, the token of the party that the client acts for, and so are
            all that follow (RFC 8693 §2.1).
        subject_token_type: what it is.
        actor_token: a token of the client itself.
        actor_token_type: what it is.
        requested_token_type: what is asked for.
        audience: as `resource`, once.
        assertion: in the jwt-bearer grant, what the client proves itself by (RFC 7523 §2.1).
    """

    evidence: Evidence
    resources: tuple[str, ...]
    grant_type: str | None = None
    scope: str | None = None
    authorization_details: str | None = None
    subject_token: str | None = None
    subject_token_type: str | None = None
    actor_token: str | None = None
    actor_token_type: str | None = None
    requested_token_type: str | None = None
    audience: str | None = None
    assertion: str | None = None

    def __repr__(self) -> str:
        """Show who asks for what kind of grant; other parameters may be tokens."""
        return f"TokenRequest(evidence={self.evidence!r}, grant_type={self.grant_type!r})"


_PARAMETERS = TokenRequest._fields[2:]
_RECOGNISED = CREDENTIALS.union(_PARAMETERS, (RESOURCE,))


def parse_token_request(
    headers: Iterable[tuple[bytes, bytes]],
    query: bytes,
    body: bytes,
    *,
    url: str,
    peer_address: str | None = None,
    peer_chain: Chain = (),
) -> TokenRequest:
    """Parse a token request, which the caller has found to be a POST.

    Args:
        headers: raw header lines with lower-case names, duplicates kept.
        query: the raw query string.
        body: the whole body.
        url: the public URL of the endpoint.
        peer_address: the network address of the peer.
        peer_chain: the certificates that it showed, its own first.

    Raises:
        InvalidRequest: media type, encoding, parameters or number of credentials are wrong (400).
        InvalidClient: the credentials are malformed (401).
        InvalidGrant: the assertion of the jwt-bearer grant is malformed (400).
    """
    evidence, parameters, resources = parse_client_request(
        headers,
        query,
        body,
        recognised=_RECOGNISED,
        url=url,
        peer_address=peer_address,
        peer_chain=peer_chain,
    )
    if parameters.get("grant_type") == JWT_BEARER:
        evidence = _take_grant(evidence, parameters.get("assertion"))
    return TokenRequest(evidence, resources, *map(parameters.get, _PARAMETERS))


def _take_grant(evidence: Evidence, assertion: str | None) -> Evidence:
    """Return the evidence with the assertion that is the grant as what it proves the client by.

    RFC 7521 §4.1: client authentication is optional beside a grant. Here it is the same assertion,
    so another one beside it would be a second.
    """
    if assertion is None:
        raise InvalidRequest(Reason.ASSERTION_MISSING, "assertion is missing")
    if evidence.basic or evidence.secret_post or evidence.assertion:
        raise InvalidRequest(Reason.SEVERAL_MECHANISMS, "the assertion is all that is needed")
    try:
        claimed = claim_assertion(JWT_BEARER, assertion, evidence.client_id)
    except BadAssertion as error:
        raise InvalidGrant(error.reason) from None
    return evidence._replace(assertion=claimed)
