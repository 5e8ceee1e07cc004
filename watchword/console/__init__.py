"""The administration console: web pages over the administration API, without script or with."""
