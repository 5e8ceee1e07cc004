"""Revoke, suspend and restore tokens: what an operator asks for, and which tokens that is."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from issuer.administration.authority import ADMINISTRATORS
from issuer.administration.documents import read_document
from issuer.registry.audit import TOKEN_ACTIONS, Actor, AuditEntry
from issuer.registry.errors import (
    InvalidDocument,
    InvalidValue,
    UnknownClient,
    UnknownResource,
)
from issuer.registry.mistakes import Mistake
from issuer.registry.schema import Document, Json, Text, Time, write_time
from issuer.status.positions import Position, Status, position_of, read_jti
from issuer.storage.edit import RegistryEdit
from issuer.storage.reading import RegistryReading
from issuer.storage.status_changes import IndexRange, TokenSelection
from keys.errors import InvalidJwt
from keys.jwt import SPACE_INSIDE, read_jwt

_STATUSES: Final = {
    "revoke": Status.INVALID,
    "suspend": Status.SUSPENDED,
    "restore": Status.VALID,
}
_ALONE: Final = ("token", "jti")
_OWNER: Final = ("client_id", "subject")
_MALFORMED: Final = "is no access token, which is three parts with dots between: eyJ….eyJ….…"


class TokenChangeDocument(Document):
    """Tokens whose status is to be changed."""

    action: Literal["revoke", "suspend", "restore"] = Field(
        description="`revoke` is final; `restore` undoes `suspend`"
    )
    token: Text | None = Field(None, repr=False, description="this token")
    jti: Text | None = Field(None, description="the token of this id")
    client_id: Text | None = Field(None, description="tokens issued to this client")
    subject: Text | None = Field(None, description="tokens of this `sub`")
    resource: Text | None = Field(None, description="only tokens for this resource")
    issued_before: Time | None = Field(
        None,
        description="only tokens issued before this time; some of the 15 minutes after it may be"
        " among them",
    )
    dry_run: bool = Field(False, description="only tell how many it would be")

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name in (*_ALONE, *_OWNER) if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"has only one of {', '.join((*_ALONE, *_OWNER))}")
        narrowed = self.resource is not None or self.issued_before is not None
        if narrowed and given and given[0] in _ALONE:
            raise ValueError(f"has {given[0]} alone, without resource and issued_before")
        if not (given or narrowed):
            raise ValueError(
                "says which tokens: token, jti, client_id, subject, resource or issued_before"
            )
        return self


class _TokenChange(NamedTuple):
    """What a request comes to: indexes, and what the audit trail says of them."""

    ranges: list[IndexRange]
    target: str
    described: Json


def change_tokens(
    edit: RegistryEdit, wanted: TokenChangeDocument, *, administration: str | None
) -> Json:
    """Change the status of tokens; what they have already changes nothing.

    Args:
        edit: the transaction.
        wanted: the change.
        administration: the resource identifier of the administration, whose tokens only those may
            change who hold what they are for; None for an operator who has the database itself.

    Returns:
        `action`, `dry_run`, and `tokens`: at most how many live tokens it is about.

    Raises:
        InvalidDocument: it names no token of this issuer, or a time to come.
        UnknownClient, UnknownResource: neither the registry nor any live token knows it.
    """
    change = _plan(edit, wanted, edit.now, administration)
    edit.change_tokens(change.ranges, _STATUSES[wanted.action], change.target, change.described)
    return _describe(change, wanted)


def revoke_all_tokens(edit: RegistryEdit, client_id: str, *, administration: str | None) -> None:
    """Revoke all tokens of a client, which was disabled or deleted just before if it is to be.

    In this order, since its tokens may become more until the transaction holds the client.
    """
    wanted = read_document(TokenChangeDocument, {"action": "revoke", "client_id": client_id})
    with suppress(UnknownClient):  # it is deleted, and has no live token
        change_tokens(edit, wanted, administration=administration)


def foresee_token_change(
    reading: RegistryReading,
    wanted: TokenChangeDocument,
    *,
    by: Actor,
    now: int,
    administration: str | None,
) -> tuple[Json, list[AuditEntry]]:
    """Tell what `change_tokens` would return, and write to the audit trail."""
    change = _plan(reading, wanted, now, administration)
    entry = AuditEntry(
        at=now,
        actor=by,
        action=TOKEN_ACTIONS[_STATUSES[wanted.action]],
        target=change.target,
        before=None,
        after=change.described,
    )
    return _describe(change, wanted), [entry]


def _plan(
    reading: RegistryReading, wanted: TokenChangeDocument, now: int, administration: str | None
) -> _TokenChange:
    issuer = reading.identity().issuer or ""
    selection, jti = _select(wanted, issuer, now)
    try:
        ranges = reading.find_tokens(selection, now)
    except InvalidValue as error:
        raise _mistake("jti" if wanted.token is None else "token", str(error)) from None
    if not ranges:
        _require_known(reading, wanted, now)
    owners = reading.find_token_owners(selection, now) if jti is not None else []
    claimed = (_read_claims(wanted.token) or {}).get("client_id") if wanted.token else None
    if owners and claimed is not None and claimed not in owners:
        raise _mistake("token", "names another client than it was issued to: it was changed")
    named = {
        "client_id": owners[0] if owners else wanted.client_id,
        "subject": wanted.subject,
        "resource": wanted.resource,
        "issued_before": write_time(wanted.issued_before),
        "jti": jti,
    }
    described: Json = {name: value for name, value in named.items() if value is not None}
    described["tokens"] = sum(each.size for each in ranges)
    described[ADMINISTRATORS] = _administrators(reading, selection, now, administration)
    target = jti or wanted.client_id or wanted.subject or wanted.resource or issuer
    return _TokenChange(ranges, target, described)


def _describe(change: _TokenChange, wanted: TokenChangeDocument) -> Json:
    tokens = change.described["tokens"]
    return {"action": wanted.action, "tokens": tokens, "dry_run": wanted.dry_run}


def _select(
    wanted: TokenChangeDocument, issuer: str, now: int
) -> tuple[TokenSelection, str | None]:
    """Return which tokens, and the id if it is a single one."""
    jti = wanted.jti
    if wanted.token is not None:
        jti, position = _read_token(wanted.token, issuer)
        return TokenSelection(position=position), jti
    if jti is not None:
        found = read_jti(jti)
        if found is None:
            raise _mistake("jti", "is no id of a token that is on a status list")
        return TokenSelection(position=found), jti
    if wanted.issued_before is not None and wanted.issued_before > now:
        raise _mistake("issued_before", "must not be in the future: later tokens are not covered")
    return (
        TokenSelection(
            client_id=wanted.client_id,
            subject=wanted.subject,
            resource=wanted.resource,
            issued_before=wanted.issued_before,
        ),
        None,
    )


def _read_claims(token: str) -> Mapping[str, Any] | None:
    signed, dot, _ = token.rpartition(".")
    try:
        return read_jwt(signed + dot).claims
    except InvalidJwt:
        return None


def _read_token(token: str, issuer: str) -> tuple[str, Position]:
    """Return id and position of a token, which only has to be one of this issuer's making.

    Its signature is not looked at, and may be cut: a token whose key was withdrawn may be named as
    well, and an operator may name any by its id.

    Raises:
        InvalidDocument: it is no such token.
    """
    claims = _read_claims(token)
    if claims is None:
        in_pieces = _read_claims("".join(token.split())) is not None
        raise _mistake("token", f"has {SPACE_INSIDE}" if in_pieces else _MALFORMED)
    if claims.get("iss") != issuer:
        raise _mistake("token", "is of another issuer")
    jti = claims.get("jti")
    try:
        position = position_of(claims, issuer.removesuffix("/"))
    except ValueError as error:
        raise _mistake("token", str(error)) from None
    if position is None:
        raise _mistake("token", "is on no status list, so it counts until it expires")
    if not isinstance(jti, str) or read_jti(jti) != position:
        raise _mistake("token", "has an id that is not of its place on the status list")
    return jti, position


def _require_known(reading: RegistryReading, wanted: TokenChangeDocument, now: int) -> None:
    """Refuse a client or resource that is probably mistyped; one that was deleted is known yet."""

    def has_tokens(selection: TokenSelection) -> bool:
        return bool(reading.find_tokens(selection, now))

    client_id, resource = wanted.client_id, wanted.resource
    if client_id is not None and not (
        reading.find_client(client_id) or has_tokens(TokenSelection(client_id=client_id))
    ):
        raise UnknownClient(f"no such client, nor a live token of it: {client_id}")
    if resource is not None and not (
        reading.find_resource(resource) or has_tokens(TokenSelection(resource=resource))
    ):
        raise UnknownResource(f"no such resource, nor a live token for it: {resource}")


def _administrators(
    reading: RegistryReading, selection: TokenSelection, now: int, administration: str | None
) -> list[str]:
    if administration is None:
        return []
    # Whatever the request names: a token for another resource may be for the administration too.
    return reading.find_token_owners(selection, now, among=administration)


def _mistake(member: str, why: str) -> InvalidDocument:
    return InvalidDocument([Mistake((member,), why)])
