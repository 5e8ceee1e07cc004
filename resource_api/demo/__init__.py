"""The demo API."""
