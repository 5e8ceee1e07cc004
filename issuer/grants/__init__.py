"""Grants of the token endpoint: the table of grant types (RFC 6749 §4)."""

from collections.abc import Mapping
from typing import Any

from issuer.grants import client_credentials, token_exchange
from issuer.grants.authorization import GrantType
from issuer.registry.client import CLIENT_CREDENTIALS, TOKEN_EXCHANGE

GRANTS: Mapping[str, GrantType[Any]] = {
    CLIENT_CREDENTIALS: GrantType(client_credentials.prepare, client_credentials.decide),
    TOKEN_EXCHANGE: GrantType(token_exchange.prepare, token_exchange.decide),
}
"""The grant types by name; a type that is not here is unsupported."""
