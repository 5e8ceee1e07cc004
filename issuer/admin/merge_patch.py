"""JSON merge patch (RFC 7396): what a document becomes when some of its members change."""

from typing import Any

from issuer.registry.representation import Json


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
