"""Unit tests of `watchword.console.differences`: what is marked in versions side by side."""

from watchword.console.differences import Piece, changed_members, compare, compare_conflict


def test_members_that_differ_come_first_and_are_marked_item_by_item() -> None:
    """A scope that went and one that came; what stayed is plain."""
    before = {"name": "x", "scopes": ["read", "write"], "scope": "a b"}
    after = {"name": "x", "scopes": ["read", "pay"], "scope": "b c"}
    scopes, scope, name = compare(before, after)
    assert scopes.before == (Piece("read", ""), Piece("write", "del"))
    assert scopes.after == (Piece("read", ""), Piece("pay", "ins"))
    assert scope.before == (Piece("a", "del"), Piece("b", ""))
    assert (name.differs, name.before) == (False, (Piece("x", ""),))


def test_a_grant_is_compared_scope_by_scope() -> None:
    """Otherwise a whole grant would be marked for one scope of it."""
    grant = {"resource": "urn:a", "scope": "read"}
    more = {"resource": "urn:a", "scope": "read pay", "default_scope": "read"}
    (line,) = compare({"grants": [grant]}, {"grants": [more]})
    assert line.before == (Piece("urn:a read", ""),)
    assert line.after == (
        Piece("urn:a read", ""),
        Piece("urn:a pay", "ins"),
        Piece("urn:a default_scope: read", "ins"),
    )


def test_what_is_all_new_or_all_gone_has_no_marks() -> None:
    """There is nothing to compare it with."""
    for lines, side in ((compare(None, {"a": 1}), "after"), (compare({"a": 1}, None), "before")):
        (line,) = lines
        assert getattr(line, side) == (Piece("1", ""),)
        assert line.differs
    assert compare(None, None) == ()


def test_values_of_all_kinds_are_written_for_people() -> None:
    """Null is nothing; truth is yes or no; an object has a line for each member."""
    document = {
        "none": None,
        "flag": True,
        "object": {"a": {"b": False}, "c": 1},
        "list": [{"x": 1}],
    }
    lines = {line.name: [piece.text for piece in line.after] for line in compare({}, document)}
    assert lines == {"none": [], "flag": ["yes"], "object": ["a: b: no", "c: 1"], "list": ["x: 1"]}


def test_a_member_that_one_version_lacks_is_empty_there() -> None:
    """An absent member is not the same as one that is null."""
    (line,) = compare({}, {"a": None})
    assert (line.before, line.after, line.differs) == ((), (), True)


def test_a_conflict_shows_both_versions_and_what_would_be_saved() -> None:
    """Members that only one has changed are merged; where both did, the second one counts."""
    base = {"scopes": ["a", "b"], "token_ttl": 60, "alg": None, "kept": 1}
    theirs = base | {"scopes": ["a"], "token_ttl": 90}
    mine = base | {"scopes": ["a", "b", "c"], "alg": "ES256"}
    scopes, life, alg = compare_conflict(base, theirs, mine)
    assert scopes.theirs == (Piece("a", ""), Piece("b", "del"))
    assert scopes.mine == (Piece("a", ""), Piece("b", ""), Piece("c", "ins"))
    assert [piece.text for piece in scopes.saved] == ["a", "b", "c"]
    assert (scopes.both, life.both, alg.both) == (True, False, False)
    assert [piece.text for piece in life.saved] == ["90"]
    assert [piece.text for piece in alg.saved] == ["ES256"]


def test_two_who_want_the_same_are_in_no_conflict_about_it() -> None:
    """It is shown, since it differs from what both began with, but nothing is lost."""
    (line,) = compare_conflict({"a": 1}, {"a": 2}, {"a": 2})
    assert not line.both


def test_only_what_was_changed_is_sent() -> None:
    """So that what another has changed meanwhile stays."""
    assert changed_members({"a": 1, "b": [1]}, {"a": 1, "b": [2], "c": None, "d": 0}) == {
        "b": [2],
        "d": 0,
    }
