"""Serve the issuer over HTTP: the only rooms of `issuer` that know ASGI."""
