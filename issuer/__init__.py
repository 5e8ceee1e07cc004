"""Authenticate clients and sign short-lived access tokens (RFC 6749, RFC 9068)."""
