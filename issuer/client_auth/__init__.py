"""Client authentication at the token endpoint (RFC 6749 §2.3, RFC 7591 §2)."""
