"""The grant types that a client may be registered for, by name; `issuer.grants` has what each does.

Apart from the schema of clients, so that requests are parsed without the libraries it needs.
"""

CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GRANT_TYPES = (CLIENT_CREDENTIALS, TOKEN_EXCHANGE, JWT_BEARER)
