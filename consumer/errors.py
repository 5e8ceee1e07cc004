"""What can go wrong between a consumer and its issuer: one tree, told apart by type.

No message ever holds a secret or a token. Every class can be copied, because one failed token
request is reported to each of the callers that waited for it.
"""


class ConsumerError(Exception):
    """No usable access token, or no safe place to send it; the base of everything below."""

    retry_after: float | None = None
    """Seconds that the issuer asked to be left alone for, if it did."""


class TokenRequestRefused(ConsumerError):
    """The token endpoint answered with an error of RFC 6749 §5.2."""

    def __init__(
        self,
        code: str,
        description: str | None = None,
        status: int = 400,
        retry_after: float | None = None,
    ) -> None:
        """Keep the answer's `error`, its `error_description` and the HTTP status."""
        super().__init__(code, description, status, retry_after)
        self.code = code
        self.description = description
        self.status = status
        self.retry_after = retry_after

    def __str__(self) -> str:
        told = f": {self.description}" if self.description else ""
        return f"the token request was refused with {self.status} {self.code}{told}"


class TokenEndpointUnreachable(ConsumerError):
    """The issuer did not answer, or only to say that it cannot serve now."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        """Keep one clear line and, if the issuer gave one, its `Retry-After` in seconds."""
        super().__init__(reason, retry_after)
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.reason


class InvalidTokenResponse(ConsumerError):
    """The token endpoint answered something that RFC 6749 §5 does not allow."""


class MetadataError(ConsumerError):
    """The issuer's metadata (RFC 8414) is missing, malformed or not its own."""


class InsecureUrl(ConsumerError):
    """A credential would have travelled over plain http to another machine."""
