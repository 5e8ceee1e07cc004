"""All that `/openapi.json` describes, called by schemathesis as the document allows and forbids."""
