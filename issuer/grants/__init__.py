"""Grants of the token endpoint (RFC 6749 §4)."""
