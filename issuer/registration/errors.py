"""What client registration refuses with: RFC 7591 §3.2.2, RFC 7592 §2, and RFC 6750 §3 for tokens.

As in `issuer.errors`: a class fixes code and status, an instance adds a reason and a description.
"""

from issuer.errors import InvalidRequest, OAuthError

_REALM = b'Bearer realm="registration"'


class InvalidClientMetadata(OAuthError):
    """A member is malformed, does not fit another, or is more than may be registered."""

    code = "invalid_client_metadata"


class InvalidRedirectUri(OAuthError):
    """There is a redirect URI, and no grant here that would redirect anybody."""

    code = "invalid_redirect_uri"


class InvalidSoftwareStatement(OAuthError):
    """The software statement is not even a string."""

    code = "invalid_software_statement"


class UnapprovedSoftwareStatement(OAuthError):
    """A software statement is signed by somebody, and nobody's signature counts here."""

    code = "unapproved_software_statement"


class MissingToken(OAuthError):
    """No Bearer token came, so the challenge names no error (RFC 6750 §3.1)."""

    code = "unauthorized"
    status = 401
    headers = ((b"www-authenticate", _REALM),)


class InvalidToken(OAuthError):
    """The token is unknown, ended, used up, or of another client; the same words for each."""

    code = "invalid_token"
    status = 401
    headers = ((b"www-authenticate", _REALM + b', error="invalid_token"'),)


class MalformedAuthorization(InvalidRequest):
    """The `Authorization` header is malformed, or there are several (RFC 6750 §3.1)."""

    headers = ((b"www-authenticate", _REALM + b', error="invalid_request"'),)


class NotOfAClient(InvalidRequest):
    """A client is read, replaced or deleted, nothing else (RFC 7592 §2, RFC 9110 §15.5.6)."""

    status = 405
    headers = ((b"allow", b"GET, PUT, DELETE"),)
