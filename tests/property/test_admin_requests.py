"""Properties of how the administration API reads requests: any input is understood or refused."""

from hypothesis import given
from hypothesis import strategies as st

from issuer.administration.documents import merge_patch
from issuer.administration.http.problems import RequestRefused
from issuer.administration.http.route import (
    Precondition,
    parse_if_match,
    parse_path,
    parse_query,
    write_path,
    write_tag,
)
from issuer.administration.http.routes import ROUTES
from issuer.registry.errors import InvalidValue

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)
PARAMETERS = tuple({each.name: each for route in ROUTES for each in route.query}.values())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


@given(st.lists(VISIBLE, min_size=1, max_size=4))
def test_every_visible_name_travels_through_a_path(names: list[str]) -> None:
    """RFC 3986 §2.4: encoded once, decoded once."""
    path = write_path(*names)
    assert parse_path(path) == tuple(names)
    assert not {".", ".."} & set(path.split("/"))


@given(st.text(max_size=60))
def test_any_path_names_visible_names_or_nothing(path: str) -> None:
    """No control character, space or foreign letter comes in by an escape."""
    names = parse_path(path)
    assert names is None or all(name.isascii() and name.isprintable() for name in names)


@given(st.binary(max_size=60))
def test_any_query_is_read_or_refused(raw: bytes) -> None:
    """And a value is of its parameter's kind."""
    try:
        values = parse_query(raw, PARAMETERS)
    except RequestRefused:
        return
    assert values.keys() == {each.name for each in PARAMETERS}


@given(st.text(st.sampled_from('W/"12,* \ta'), max_size=40))
def test_any_condition_is_read_or_refused(text: str) -> None:
    """And is never taken for more than it says."""
    try:
        condition = parse_if_match(text)
    except InvalidValue:
        return
    assert isinstance(condition, Precondition)
    if condition.revisions is not None:
        assert all(write_tag(each) in text for each in condition.revisions)


def holds(result: object, patch: object) -> bool:
    """Tell whether a document is as a patch wants it (RFC 7396 §2)."""
    if not isinstance(patch, dict):
        return result == patch
    return isinstance(result, dict) and all(
        name not in result if value is None else name in result and holds(result[name], value)
        for name, value in patch.items()
    )


@given(OBJECTS, OBJECTS)
def test_a_patched_document_is_as_the_patch_wants_it(
    target: dict[str, object], patch: dict[str, object]
) -> None:
    """What it names is so; the rest is as it was; a second time changes nothing."""
    merged = merge_patch(target, patch)
    assert holds(merged, patch)
    assert {k: v for k, v in merged.items() if k not in patch} == {
        k: v for k, v in target.items() if k not in patch
    }
    assert merge_patch(merged, patch) == merged
