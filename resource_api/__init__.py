"""Validate access tokens by themselves: signature, claims and scopes, no call per request (RFC 9068, RFC 6750)."""
