"""Grants of the token endpoint: the table of grant types (RFC 6749 §4)."""

from collections.abc import Mapping
from typing import Any

from issuer.grants import client_credentials, token_exchange
from issuer.grants.authorization import GrantType
from issuer.registry.grant_types import CLIENT_CREDENTIALS, JWT_BEARER, TOKEN_EXCHANGE

GRANTS: Mapping[str, GrantType[Any]] = {
    CLIENT_CREDENTIALS: GrantType(client_credentials.prepare, client_credentials.decide),
    TOKEN_EXCHANGE: GrantType(token_exchange.prepare, token_exchange.decide),
    # RFC 7523 §2.1: the assertion that is the grant tells which client it is, as authentication
    # does, and the client gets a token for itself.
    JWT_BEARER: GrantType(client_credentials.prepare, client_credentials.decide),
}
"""The grant types by name; a type that is not here is unsupported."""
