"""Refusals of the administration API as problem details (RFC 9457), and back again.

One table: what the server writes of an error, a remote command line reads as the same error.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from issuer.registry import errors
from issuer.registry.errors import (
    BeyondAuthority,
    CallerNotActive,
    DeclarationRefused,
    InvalidDocument,
    KeyReused,
)
from issuer.registry.mistakes import KeyPath, Mistake, read_pointer, write_pointer
from issuer.registry.schema import Json

_TYPE = "urn:watchword:problem:"
_LONGEST_POINTER = 256
_MOST_ERRORS = 100
_LONGEST_TEXT = 2048

Field = tuple[KeyPath | None, str]
"""A part of a problem: where, if that can be told, and what."""


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A kind of problem: its code, its status and its title, which never change."""

    code: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The problem type (RFC 9457 §3.1.1)."""
        return _TYPE + self.code

    @property
    def reason(self) -> str:
        """The code as logs write reasons."""
        return self.code.replace("-", "_")


NOT_FOUND = ProblemKind("not-found", 404, "There is nothing at this path")
METHOD_NOT_ALLOWED = ProblemKind("method-not-allowed", 405, "The path has no such method")
MALFORMED_REQUEST = ProblemKind("malformed-request", 400, "The request is malformed")
MALFORMED_JSON = ProblemKind("malformed-json", 400, "The body is not one JSON object")
BODY_TOO_LARGE = ProblemKind("body-too-large", 413, "The body is too large")
UNSUPPORTED_MEDIA_TYPE = ProblemKind("unsupported-media-type", 415, "The media type is not read")
INTERNAL = ProblemKind("internal", 500, "The server failed")
UNAVAILABLE = ProblemKind("unavailable", 503, "The registry cannot be used now")

KINDS: Mapping[type[errors.RegistryError], ProblemKind] = {
    InvalidDocument: ProblemKind("invalid-document", 422, "The document has mistakes"),
    errors.InvalidValue: ProblemKind("invalid-value", 422, "A value cannot be"),
    errors.UnknownScope: ProblemKind("unknown-scope", 422, "There is no such scope"),
    KeyReused: ProblemKind("idempotency-key-reused", 422, "The idempotency key was used before"),
    errors.UnknownClient: ProblemKind("unknown-client", 404, "There is no such client"),
    errors.UnknownSecret: ProblemKind("unknown-secret", 404, "There is no such secret"),
    errors.UnknownResource: ProblemKind("unknown-resource", 404, "There is no such resource"),
    errors.UnknownRegistrationToken: ProblemKind(
        "unknown-registration-token", 404, "There is no such registration token"
    ),
    errors.UnknownSigningKey: ProblemKind("unknown-key", 404, "There is no such signing key"),
    CallerNotActive: ProblemKind("caller-not-active", 401, "The caller is not active any more"),
    BeyondAuthority: ProblemKind("beyond-authority", 403, "The caller does not hold as much"),
    errors.DuplicateClient: ProblemKind("duplicate-client", 409, "The client id is taken"),
    errors.DuplicateResource: ProblemKind("duplicate-resource", 409, "The identifier is taken"),
    errors.ResourceInUse: ProblemKind("resource-in-use", 409, "The resource is in use"),
    errors.ScopeInUse: ProblemKind("scope-in-use", 409, "The scope is in use"),
    errors.TooManySecrets: ProblemKind("too-many-secrets", 409, "The client has enough secrets"),
    errors.KeyChangeRefused: ProblemKind(
        "key-change-refused", 409, "The signing keys cannot be changed so now"
    ),
    DeclarationRefused: ProblemKind("declaration-refused", 409, "The declaration cannot be met"),
    errors.RevisionConflict: ProblemKind("revision-conflict", 412, "It has changed meanwhile"),
    errors.StoreUnavailable: UNAVAILABLE,
    errors.SchemaMismatch: UNAVAILABLE,
}
"""What each refusal of the registry is over HTTP."""

_BY_TYPE = {kind.type: error for error, kind in KINDS.items() if kind != UNAVAILABLE}
_BY_TYPE[UNAVAILABLE.type] = errors.StoreUnavailable

HTTP_KINDS = (
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    MALFORMED_REQUEST,
    MALFORMED_JSON,
    BODY_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    INTERNAL,
)
"""Problems of requests that reach no operation."""


class RequestRefused(Exception):
    """A request that reaches no operation: its kind, and a line that says more."""

    def __init__(
        self, kind: ProblemKind, detail: str, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = tuple(headers)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled without `__init__`, whose parameters differ by class."""
        return Exception.__new__, (type(self), *self.args), vars(self)


def kind_of(
    error: errors.RegistryError, targets: Sequence[type[errors.RegistryError]] = ()
) -> ProblemKind:
    """Return the kind of problem that a refusal is.

    Args:
        error: the refusal.
        targets: what may be missing at the path; other things are missing from the document.
    """
    kind = KINDS.get(type(error), INTERNAL)
    if kind.status == 404 and type(error) not in targets:
        return ProblemKind(kind.code, 422, kind.title)
    return kind


def write_problem(kind: ProblemKind, detail: str, fields: Iterable[Field] = ()) -> Json:
    """Write a problem document; `errors` is as the example of RFC 9457 §3 has it."""
    document: Json = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }
    if written := [_write_field(*field) for field in fields]:
        document["errors"] = written[:_MOST_ERRORS]
    return document


def write_refusal(error: errors.RegistryError, kind: ProblemKind) -> Json:
    """Write the problem document of a refusal by the registry."""
    if kind == UNAVAILABLE:
        # Where the database is, is for the log.
        return write_problem(kind, "not done yet; try again soon")
    match error:
        case InvalidDocument():
            fields: list[Field] = [(each.path, each.why) for each in error.mistakes]
        case DeclarationRefused():
            fields = [(None, reason) for reason in error.reasons]
        case _:
            return write_problem(kind, str(error))
    return write_problem(kind, f"{len(fields)} found, listed in errors", fields)


def _write_field(path: KeyPath | None, detail: str) -> Json:
    if path is None:
        return {"detail": detail}
    pointer = write_pointer(path)[:_LONGEST_POINTER]
    # RFC 6901 §6: as a URI fragment.
    return {"pointer": "#" + quote(pointer, safe="/~"), "detail": detail}


def read_problem(document: Mapping[str, Any]) -> errors.RegistryError:
    """Build the refusal that a problem document tells of."""
    found = _BY_TYPE.get(str(document.get("type")), errors.RegistryError)
    detail = clean(document.get("detail")) or "the server gives no reason"
    if found is InvalidDocument:
        return InvalidDocument(_read_mistakes(document.get("errors")) or [Mistake((), detail)])
    if found is DeclarationRefused:
        reasons = [each.why for each in _read_mistakes(document.get("errors"))]
        return DeclarationRefused(reasons or [detail])
    return found(detail)


def clean(text: object) -> str:
    """Make a server's text fit for a terminal: one line that does nothing but stand there."""
    line = str(text or "")[:_LONGEST_TEXT]
    return line if line.isprintable() else ascii(line)[1:-1]


def _read_mistakes(listed: object) -> list[Mistake]:
    return [
        Mistake(
            read_pointer(clean(unquote(clean(each.get("pointer", "#"))[1:]))),
            clean(each.get("detail")),
        )
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict)
    ]
