"""The ASGI application: issuer, demo API, administration and registration."""
