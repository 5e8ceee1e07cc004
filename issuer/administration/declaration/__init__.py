"""Declarations: clients and resources as one file says they should be, and the way there."""
