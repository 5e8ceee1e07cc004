"""ASGI endpoints of the issuer: those that authenticate clients, and public documents."""
