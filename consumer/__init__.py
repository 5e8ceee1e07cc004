"""Get access tokens, keep them fresh and never stampede (RFC 6749 client credentials)."""
