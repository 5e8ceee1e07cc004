"""What can go wrong between a consumer and its issuer: one tree, told apart by type.

No message ever holds a secret or a token. Every class can be copied, because one failed token
request is reported to each of the callers that waited for it.
"""

from functools import cache
from typing import Any

_REMEDIES = {
    "invalid_client": "check the client's id and secret, or its key, and that it is enabled",
    "invalid_scope": "ask with `scope` for what the client is granted",
    "invalid_target": "name with `resource` an API that the client is registered for",
    "unauthorized_client": "allow the client this grant type at the issuer",
    "unsupported_grant_type": "use an issuer that has this grant type",
    "invalid_authorization_details": "ask for details that the client is granted",
    "invalid_dpop_proof": "set the clock of this machine, and check what the issuer calls itself",
}


class ConsumerError(Exception):
    """No usable access token, or no safe place to send it; the base of everything below."""

    retry_after: float | None = None
    """Seconds that the issuer asked to be left alone for, if it did."""
    request: Any
    """The request to the API that was not sent, as the errors of httpx have it."""


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
        """The issuer's `error`, such as `invalid_client`."""
        self.description = description
        """Its `error_description`, if it gave one."""
        self.status = status
        """The status of the answer."""
        self.retry_after = retry_after

    @property
    def answer(self) -> str:
        """Say what the issuer answered, without what to do about it."""
        told = f": {self.description}" if self.description else ""
        return f"the token request was refused with {self.status} {self.code}{told}"

    def __str__(self) -> str:
        remedy = f"; {_REMEDIES[self.code]}" if self.code in _REMEDIES else ""
        return f"{self.answer}{remedy}"


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


class CredentialUnavailable(ConsumerError):
    """The platform did not give the client the token that it authenticates with."""


class InsecureUrl(ConsumerError):
    """A credential would have travelled over plain http to another machine."""


def error_of(base: type[Exception], error: ConsumerError) -> ConsumerError:
    """Return an error as one that is also an error of an HTTP library.

    Args:
        base: the base of the library's errors, such as `httpx.HTTPError`.
        error: the error; it keeps its type, too.
    """
    kind = _also(type(error), base)  # type: ignore[arg-type]  # classes can be hashed
    made = kind.__new__(kind)
    base.__init__(made, str(error))
    made.args = error.args
    vars(made).update(vars(error), _plain=error, _base=base)
    return made.with_traceback(error.__traceback__)


@cache
def _also(kind: type[ConsumerError], base: type[Exception]) -> type[ConsumerError]:
    return type(kind.__name__, (kind, base), {"__module__": kind.__module__, "__reduce__": _reduce})


def _reduce(error: Any) -> tuple[Any, ...]:  # noqa: ANN401 - of a type that is made when needed
    return error_of, (error._base, error._plain)
