"""Administration of the registry: operations, HTTP API, declarations."""
