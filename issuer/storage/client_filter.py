"""Which clients are listed, in SQL: by what they may ask for, their state, use and coming end."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select

from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client_description import ClientFilter, ClientState
from issuer.storage.tables import (
    client_grant_scopes,
    client_grants,
    client_secrets,
    clients,
    resources,
)

_SECRET_METHODS = tuple(each.value for each in AuthMethod if each.uses_secret)
_client, _grant, _scope, _secret = (
    clients.c,
    client_grants.c,
    client_grant_scopes.c,
    client_secrets.c,
)


def conditions(wanted: ClientFilter, now: int) -> Iterator[ColumnElement[bool]]:
    """Yield what holds for the row of each client that is listed.

    Args:
        wanted: what it must be.
        now: seconds since the epoch.
    """
    if wanted.scope is not None:
        held = (_scope.client_id == _client.client_id, _scope.scope == wanted.scope)
        yield _with_resource(_scope.resource_id, wanted.resource, *held)
    elif wanted.resource is not None:
        yield _with_resource(
            _grant.resource_id, wanted.resource, _grant.client_id == _client.client_id
        )
    if wanted.state is not None:
        yield _is_in_state(wanted.state, now)
    if wanted.unused_for is not None:
        yield from _unused_since(now - wanted.unused_for)
    if wanted.expiring is not None:
        yield _ends_within(now, now + wanted.expiring)


def _with_resource(
    held_on: ColumnElement[int], resource: str | None, *held: ColumnElement[bool]
) -> ColumnElement[bool]:
    if resource is None:
        return exists().where(*held)
    named = select(resources.c.resource_id).where(resources.c.identifier == resource)
    return exists().where(*held, held_on == named.scalar_subquery())


def _is_in_state(state: ClientState, now: int) -> ColumnElement[bool]:
    """Tell the states apart as `describe_client` does, the first reason first."""
    if state == "disabled":
        return _client.disabled.is_(True)
    has_ended = and_(_client.expires_at.is_not(None), _client.expires_at <= now)
    if state == "expired":
        return and_(not_(_client.disabled), has_ended)
    own = _secret.client_id == _client.client_id
    lasting = or_(_secret.expires_at.is_(None), _secret.expires_at > now)
    method = _client.registration["token_endpoint_auth_method"].as_string()
    without_secret = and_(
        method.in_(_SECRET_METHODS), exists().where(own), not_(exists().where(own, lasting))
    )
    alive = and_(not_(_client.disabled), not_(has_ended))
    return and_(alive, without_secret if state == "secret_expired" else not_(without_secret))


def _unused_since(since: int) -> Iterator[ColumnElement[bool]]:
    yield _client.created_at < since
    for column in (_scope, _secret):
        used = and_(column.client_id == _client.client_id, column.last_used_at >= since)
        yield not_(exists().where(used))


def _ends_within(now: int, until: int) -> ColumnElement[bool]:
    of_secret = (
        _secret.client_id == _client.client_id,
        _secret.expires_at > now,
        _secret.expires_at <= until,
    )
    of_client = and_(_client.expires_at > now, _client.expires_at <= until)
    return or_(of_client, exists().where(*of_secret))
