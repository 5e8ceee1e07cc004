"""Two versions of one document: what each changed, and what both come to."""

from hypothesis import given
from hypothesis import strategies as st

from watchword.console.conflict import compare_versions, find_changes, merge_versions

DOCUMENTS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([None, 1, 2, [1]]))


def test_who_changed_what():
    """Each member that somebody changed, and where both did."""
    base = {"name": "Till", "ttl": 60, "team": "a", "kept": 1}
    theirs = base | {"name": "Till 1", "ttl": 90}
    mine = base | {"name": "Till 2", "team": "b"}
    found = {each.name: each for each in compare_versions(base, theirs, mine)}
    assert set(found) == {"name", "ttl", "team"}
    assert found["name"].overlaps
    assert (found["ttl"].is_theirs, found["ttl"].is_mine) == (True, False)
    assert (found["team"].is_theirs, found["team"].is_mine) == (False, True)
    assert merge_versions(base, theirs, mine) == {
        "name": "Till 2",
        "ttl": 90,
        "team": "b",
        "kept": 1,
    }


def test_both_to_the_same_is_no_overlap():
    """Nothing is lost by it."""
    (each,) = compare_versions({"a": 1}, {"a": 2}, {"a": 2})
    assert each.is_mine
    assert each.is_theirs
    assert not each.overlaps


@given(base=DOCUMENTS, theirs=DOCUMENTS, mine=DOCUMENTS)
def test_a_merge_has_the_changes_of_both(base, theirs, mine):
    """Of mine all; of theirs all that mine left as it was."""
    merged = merge_versions(base, theirs, mine)
    for name in {*base, *theirs, *mine}:
        is_mine = mine.get(name) != base.get(name)
        assert merged.get(name) == (mine if is_mine else theirs).get(name)


@given(base=DOCUMENTS, mine=DOCUMENTS)
def test_no_change_is_found_where_nothing_differs(base, mine):
    """A member that is None counts as one that is not there."""
    assert find_changes(base, base) == {}
    same = {name: value for name, value in base.items() if value is not None}
    assert find_changes(base, same) == {}
    assert set(find_changes(base, mine)) == {
        name for name in {*base, *mine} if base.get(name) != mine.get(name)
    }
