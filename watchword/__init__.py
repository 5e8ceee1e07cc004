"""Wire keys, issuer, resource API and consumer together: settings, command line, combined provider."""
