"""Test kit: tokens of any shape, good and bad, signed with keys that exist for the tests alone."""
