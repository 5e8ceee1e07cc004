"""ASGI endpoints of the issuer: the token endpoint and public documents."""
