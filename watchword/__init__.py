"""Wire keys, issuer and resource API together: settings, command line, combined provider."""
