"""Unit tests of how a request is read: paths, query strings, preconditions, the table of routes."""

import pytest

from issuer.administration.http.problems import RequestRefused
from issuer.administration.http.route import (
    UNCONDITIONAL,
    Call,
    Parameter,
    Precondition,
    cut_page,
    parse_if_match,
    parse_path,
    parse_query,
    write_path,
    write_tag,
)
from issuer.administration.http.routes import ROUTES, find_route
from issuer.registry.errors import InvalidValue, RevisionConflict
from watchword.registry import ADMIN_SCOPES

LIMIT = Parameter(name="limit", kind="integer", default=100, least=1, most=1000, description="")
AFTER = Parameter(name="after", kind="string", description="")
PRUNE = Parameter(name="prune", kind="boolean", default=False, description="")
STATE = Parameter(name="state", kind="string", choices=("enabled", "disabled"), description="")
KNOWN = (LIMIT, AFTER, PRUNE, STATE)


# ---- paths ----


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/clients/till", ("clients", "till")),
        ("/clients/a%2Fb", ("clients", "a/b")),
        ("/clients/a%2fb", ("clients", "a/b")),
        ("/clients/a%252Fb", ("clients", "a%2Fb")),
        ("/clients/%2E%2E", ("clients", "..")),
        ("/clients/till:1@x+y", ("clients", "till:1@x+y")),
    ],
)
def test_a_name_in_a_path_is_decoded_once(path: str, segments: tuple[str, ...]) -> None:
    """RFC 3986 §2.4: and only after the path was split."""
    assert parse_path(path) == segments


@pytest.mark.parametrize(
    "path",
    [
        "",
        "clients",
        "/clients/",
        "//clients",
        "/clients/%",
        "/clients/%zz",
        "/clients/%2",
        "/a%20b",
        "/a%00",
        "/a%0Ab",
        "/a%C3%A9",
        "/a\x7f",
        "/a b",
        "/%FF",
    ],
)
def test_a_path_that_can_name_nothing_names_nothing(path: str) -> None:
    """Ids are visible ASCII, and every `%` begins an escape."""
    assert parse_path(path) is None


@pytest.mark.parametrize("name", ["till", "a/b", "a%2Fb", "%", "..", ".", "https://a/b?c=d", "~!'"])
def test_a_written_path_is_read_back(name: str) -> None:
    """And dots alone survive an intermediary that normalizes paths (RFC 3986 §6.2.2.3)."""
    path = write_path("clients", name)
    assert parse_path(path) == ("clients", name)
    assert not path.endswith(("/.", "/.."))


# ---- query strings ----


def test_what_is_left_out_is_at_its_default() -> None:
    """A call knows every parameter of its route."""
    assert parse_query(b"", KNOWN) == {
        "limit": 100,
        "after": None,
        "prune": False,
        "state": None,
    }


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        (b"limit=1", "limit", 1),
        (b"limit=1000", "limit", 1000),
        (b"after=a%2Fb%26", "after", "a/b&"),
        (b"after=", "after", ""),
        (b"prune", "prune", True),
        (b"prune=true", "prune", True),
        (b"prune=false", "prune", False),
        (b"state=disabled", "state", "disabled"),
    ],
)
def test_values_are_read_by_their_kind(raw: bytes, name: str, value: object) -> None:
    """A flag may stand alone."""
    assert parse_query(raw, KNOWN)[name] == value


@pytest.mark.parametrize(
    "raw",
    [
        b"limit=0",
        b"limit=1001",
        b"limit=-1",
        b"limit=1e2",
        b"limit=",
        b"limit=%D9%A1",
        b"prune=1",
        b"prune=yes",
        b"dry_rn",
        b"limit=1&limit=1",
        b"after=%FF",
        b"after=\xff",
        b"after=a%00b",
        b"state=Disabled",
        b"state=",
        b"&".join(b"a%d=1" % number for number in range(30)),
    ],
)
def test_a_query_that_is_not_understood_is_refused(raw: bytes) -> None:
    """A mistyped `dry_run` that is passed over would do it in earnest."""
    with pytest.raises(RequestRefused) as caught:
        parse_query(raw, KNOWN)
    assert caught.value.kind.status == 400


def test_a_call_gives_parameters_in_their_types(tmp_path: object) -> None:
    """What is not given is none, nought or no."""
    query = {"after": "x", "limit": 5, "prune": True, "target": None}
    call = Call(operations=None, provider=None, query=query)  # type: ignore[arg-type]
    assert (call.text("after"), call.text("target")) == ("x", None)
    assert (call.number("limit"), call.flag("prune")) == (5, True)


# ---- preconditions ----


@pytest.mark.parametrize("text", [None, "*", " * "])
def test_no_condition_and_a_star_take_whatever_is_there(text: str | None) -> None:
    """RFC 9110 §13.1.1: `*` holds if there is something."""
    assert parse_if_match(text) == UNCONDITIONAL
    assert UNCONDITIONAL.choose(lambda: 1 // 0) is None


@pytest.mark.parametrize(
    ("text", "revisions"),
    [
        ('"17"', {17}),
        ('"17", "18"', {17, 18}),
        (',"17",,"18",', {17, 18}),
        ('W/"17"', set()),
        ('W/"17", "18"', {18}),
        ('"abc"', set()),
        ('"017"', set()),
        ('"17x", "1,2", ""', set()),
        ('"99999999999999999999"', set()),
    ],
)
def test_only_our_strong_tags_can_match(text: str, revisions: set[int]) -> None:
    """RFC 9110 §13.1.1: the comparison is strong, so weak tags never match."""
    assert parse_if_match(text) == Precondition(frozenset(revisions))


@pytest.mark.parametrize("text", ["17", "", '"17', '"1" "2"', "*, *", '"a b"', "w/" + '"1"'])
def test_what_is_no_list_of_tags_is_refused(text: str) -> None:
    """Taken for no condition, it would overwrite what it was to protect."""
    with pytest.raises(InvalidValue):
        parse_if_match(text)


def test_one_of_several_tags_is_enough() -> None:
    """And the revision that was found is what the change must find again."""
    condition = parse_if_match(f"{write_tag(3)}, {write_tag(4)}")
    assert condition.choose(lambda: 4) == 4
    with pytest.raises(RevisionConflict):
        condition.choose(lambda: 5)


# ---- pages ----


def test_pages_join_without_gap_or_overlap() -> None:
    """Also when what a page ended with is gone meanwhile."""
    items = [{"at": "1", "id": "b"}, {"at": "2", "id": "a"}, {"at": "2", "id": "c"}]
    first = cut_page(items, ("at", "id"), after=None, limit=2)
    assert (first.items, first.next) == (items[:2], "2 a")
    last = cut_page([items[0], items[2]], ("at", "id"), after=first.next, limit=2)
    assert (last.items, last.next) == (items[2:], None)


# ---- the table ----


def test_reading_needs_scopes_to_read_and_nothing_else() -> None:
    """A scope for each verb; each is one that the administration's resource has."""
    for route in ROUTES:
        assert set(route.scopes) <= set(ADMIN_SCOPES)
        kinds = {scope.rpartition(":")[2] for scope in route.scopes}
        assert kinds == ({"read"} if route.method == "GET" else {"write"})


def test_no_two_routes_share_path_and_method() -> None:
    """The second would never be served."""
    places = [(route.method, route.path) for route in ROUTES]
    assert len(set(places)) == len(places)


def test_a_route_is_found_with_what_its_path_names() -> None:
    """In the order of the path."""
    found = find_route("DELETE", ("clients", "a/b", "secrets", "1"))
    assert (found.route.path, found.names) == (
        "/clients/{client_id}/secrets/{secret_id}",
        ("a/b", "1"),
    )


def test_head_is_served_where_get_is() -> None:
    """RFC 9110 §9.3.2."""
    assert find_route("HEAD", ("audit",)).route.method == "GET"


def test_another_method_is_told_which_ones_there_are() -> None:
    """RFC 9110 §15.5.6: `Allow` MUST be there."""
    with pytest.raises(RequestRefused) as caught:
        find_route("PUT", ("clients", "till"))
    assert (caught.value.kind.status, caught.value.headers) == (
        405,
        ((b"allow", b"GET, PATCH, DELETE, HEAD"),),
    )
    with pytest.raises(RequestRefused) as caught:
        find_route("GET", ("apply",))
    assert caught.value.headers == ((b"allow", b"POST"),)


@pytest.mark.parametrize("segments", [None, ("nothing",), ("clients", "a", "b"), ("Clients",)])
def test_what_is_not_in_the_table_is_not_there(segments: tuple[str, ...] | None) -> None:
    """404, whatever the method."""
    with pytest.raises(RequestRefused) as caught:
        find_route("GET", segments)
    assert caught.value.kind.status == 404
