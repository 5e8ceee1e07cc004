"""Administer the registry: one set of operations, by command, by HTTP and by file."""
