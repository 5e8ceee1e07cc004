"""JSON merge patch (RFC 7396), and what clients and resources become by one."""

from typing import Any, TypeVar

from issuer.administration.documents import WantedClientDocument, read_document
from issuer.administration.errors import InvalidDocument, Mistake, write_pointer
from issuer.registry.resource import Resource
from issuer.registry.schema import Json, members_of

T = TypeVar("T")

_NOWHERE = object()


def merge_patch(target: Json, patch: Json) -> Json:
    """Return the patched document; neither argument is changed (RFC 7396 §2)."""
    merged: Json = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged


def _merge(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(patch, dict):
        return patch
    return merge_patch(target if isinstance(target, dict) else {}, patch)


def patched_client(shown: Json, patch: Json) -> WantedClientDocument:
    """Read what a client becomes.

    Args:
        shown: its document as it is shown now.
        patch: its changes. `scope` and `resources` are shown, so they may be patched as well,
            instead of `grants`; the one of them that is left out stays.

    Raises:
        InvalidDocument: with every mistake in it.
    """
    changes = _changes(shown, patch)
    flat = {"scope", "resources"} & changes.keys()
    # A null cannot tell whether one of the two or both shall be empty.
    if nothing := [name for name in sorted(flat) if changes[name] is None]:
        raise InvalidDocument([(f"/{name}", "must not be null; change grants") for name in nothing])
    if changes.get("grants", _NOWHERE) is None:
        changes["grants"] = []
    if "resources" in flat and not (shown["scope"] or "scope" in flat):
        raise InvalidDocument([("/scope", "is missing: say what it may ask for on the resources")])
    # What is empty is left out: no client can be wanted that way.
    kept = {name: shown[name] for name in ("scope", "resources") if flat and shown[name]}
    hidden = {"scope", "resources"} | ({"grants"} if flat else set())
    basis = {name: value for name, value in shown.items() if name not in hidden} | kept
    return _patched(WantedClientDocument, basis, changes, fixed="client_id")


def patched_resource(shown: Json, patch: Json) -> Resource:
    """Read what a resource becomes.

    Args:
        shown: its document as it is shown now.
        patch: its changes.

    Raises:
        InvalidDocument: with every mistake in it.
    """
    return _patched(Resource, shown, _changes(shown, patch), fixed="resource")


def _changes(shown: Json, patch: Json) -> Json:
    # Whoever sends back what he was shown, with a change in it, means the change alone.
    return {name: value for name, value in patch.items() if shown.get(name, _NOWHERE) != value}


def _patched(model: type[T], basis: Json, changes: Json, *, fixed: str) -> T:
    members = members_of(model)
    known = set(members) - {fixed}
    mistakes: list[Mistake] = [
        (
            write_pointer([name]),
            "cannot be changed" if name == fixed or name in basis else "is not known here",
        )
        for name in changes
        if name not in known
    ]
    merged = merge_patch(basis, {name: changes[name] for name in changes if name in known})
    document = {name: value for name, value in merged.items() if name in members}
    try:
        after = read_document(model, document)
    except InvalidDocument as error:
        raise InvalidDocument([*mistakes, *error.mistakes]) from None
    if mistakes:
        raise InvalidDocument(mistakes)
    return after
