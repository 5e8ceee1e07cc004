"""The pages of the console: each a function from a request to a page or a redirect."""
