"""What each route of the administration API does: a call in, an answer out."""

from issuer.administration.http.call import (
    GONE,
    Answer,
    Call,
    created_answer,
    cut_page,
    document_answer,
    page_answer,
)


def list_clients(call: Call) -> Answer:
    """Answer with a page of clients."""
    page = call.operations.list_clients(after=call.text("after"), limit=call.number("limit"))
    return page_answer("clients", page)


def create_client(call: Call) -> Answer:
    """Register a client."""
    created = call.operations.register_client(call.document, idempotency_key=call.idempotency_key)
    return created_answer(created, "clients", created.document["client_id"])


def show_client(call: Call) -> Answer:
    """Answer with one client."""
    return document_answer(call.operations.show_client(*call.names))


def update_client(call: Call) -> Answer:
    """Change a client."""
    (client_id,) = call.names
    changed = call.operations.update_client(
        client_id, call.document, revision=_client_revision(call)
    )
    return document_answer(changed)


def delete_client(call: Call) -> Answer:
    """Delete a client."""
    (client_id,) = call.names
    call.operations.delete_client(client_id, revision=_client_revision(call))
    return GONE


def list_secrets(call: Call) -> Answer:
    """Answer with the times of a client's secrets."""
    return Answer(document={"secrets": call.operations.list_secrets(*call.names)})


def add_secret(call: Call) -> Answer:
    """Give a client one more secret."""
    (client_id,) = call.names
    created = call.operations.issue_secret(
        client_id, call.document, idempotency_key=call.idempotency_key
    )
    location = ("clients", client_id, "secrets", created.document["secret_id"])
    return created_answer(created, *location, tagged=False)


def revoke_secret(call: Call) -> Answer:
    """End a secret."""
    call.operations.revoke_secret(*call.names)
    return GONE


def list_resources(call: Call) -> Answer:
    """Answer with a page of resources."""
    found = call.operations.list_resources()
    page = cut_page(found, "resource", after=call.text("after"), limit=call.number("limit"))
    return page_answer("resources", page)


def create_resource(call: Call) -> Answer:
    """Add a resource."""
    created = call.operations.register_resource(call.document)
    return created_answer(created, "resources", created.document["resource"])


def show_resource(call: Call) -> Answer:
    """Answer with one resource."""
    return document_answer(call.operations.show_resource(*call.names))


def update_resource(call: Call) -> Answer:
    """Change a resource."""
    (identifier,) = call.names
    changed = call.operations.update_resource(
        identifier,
        call.document,
        revision=_resource_revision(call),
        withdraw=call.flag("withdraw"),
    )
    return document_answer(changed)


def delete_resource(call: Call) -> Answer:
    """Delete a resource."""
    (identifier,) = call.names
    call.operations.delete_resource(identifier, revision=_resource_revision(call))
    return GONE


def list_registration_tokens(call: Call) -> Answer:
    """Answer with a page of initial access tokens."""
    found = call.operations.list_registration_tokens()
    after, limit = call.text("after"), call.number("limit")
    page = cut_page(found, "created_at", "token_id", after=after, limit=limit)
    return page_answer("registration_tokens", page)


def create_registration_token(call: Call) -> Answer:
    """Make an initial access token."""
    created = call.operations.issue_registration_token(
        call.document, idempotency_key=call.idempotency_key
    )
    location = ("registration-tokens", created.document["token_id"])
    return created_answer(created, *location, tagged=False)


def revoke_registration_token(call: Call) -> Answer:
    """End an initial access token."""
    call.operations.revoke_registration_token(*call.names)
    return GONE


def list_audit(call: Call) -> Answer:
    """Answer with a page of the audit trail."""
    page = call.operations.list_audit(
        target=call.text("target"), before=call.text("after"), limit=call.number("limit")
    )
    return page_answer("entries", page)


def apply(call: Call) -> Answer:
    """Make the registry what a declaration says, or tell what that would do."""
    outcome = call.operations.apply(
        call.document,
        dry_run=call.flag("dry_run"),
        prune=call.flag("prune"),
        usage_days=call.number("usage_days"),
    )
    return Answer(document=outcome)


def _client_revision(call: Call) -> int | None:
    return call.precondition.choose(lambda: call.operations.show_client(*call.names).revision)


def _resource_revision(call: Call) -> int | None:
    return call.precondition.choose(lambda: call.operations.show_resource(*call.names).revision)
