"""Where tokens stand on status lists, and whether they still count."""
