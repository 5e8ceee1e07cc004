"""JWK sets of others, fetched over HTTP and kept at hand."""
