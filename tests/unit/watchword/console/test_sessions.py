"""Sessions of the console: what opens, for how long, and which requests and paths are its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.encoding import decode_base64url, encode_base64url
from watchword.console.sessions import (
    FORM_SECONDS,
    KEY_SECONDS,
    LINK_SECONDS,
    SESSION_SECONDS,
    Link,
    Session,
    SessionSeal,
    Visit,
    choose_next,
    is_csrf,
    is_own_request,
)

NOW = 1_800_000_000
ORIGIN = "https://login.example.com"
ROOT = bytes(range(32))
BASE = "/console"


class Counted:
    """Random bytes that are the same in every run, and no two the same."""

    def __init__(self):
        self.count = 0

    def __call__(self, size):
        """Give the next bytes."""
        self.count += 1
        return self.count.to_bytes(size)


def make_seal(root=ROOT, origin=ORIGIN):
    """Make what seals for an origin."""
    return SessionSeal(root, origin, random_bytes=Counted())


def begin(name="till", credential_id="s1"):
    """Begin a session now."""
    return Session.begin(name, credential_id, now=NOW, random_bytes=Counted())


VALUES = (
    begin(),
    begin("alice", None),
    Link.make("alice", now=NOW, random_bytes=Counted()),
    Visit.begin(now=NOW, random_bytes=Counted()),
)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_was_sealed_opens_until_it_ends(value):
    """Not in the second in which it ends, nor after it; and on any node with the same root."""
    text = make_seal().seal(value, NOW)
    assert make_seal().open(type(value), text, NOW) == value
    assert make_seal().open(type(value), text, value.ends - 1) == value
    assert make_seal().open(type(value), text, value.ends) is None


def test_lengths_of_life():
    """A session has 15 minutes, a link one, the form an hour; a key seals as long as any lives."""
    session, _, link, visit = VALUES
    assert session.ends - NOW == SESSION_SECONDS == 900
    assert link.ends - NOW == LINK_SECONDS == 60
    assert visit.ends - NOW == FORM_SECONDS <= KEY_SECONDS


@pytest.mark.parametrize("value", VALUES, ids=repr)
@given(data=st.data())
def test_a_change_of_any_byte_refuses(value, data):
    """Of the text, whatever it becomes: no other text opens."""
    text = make_seal().seal(value, NOW)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(max_codepoint=0x2FF).filter(lambda it: it != text[at]))
    assert make_seal().open(type(value), text[:at] + other + text[at + 1 :], NOW) is None


@given(cut=st.integers(0, 200), more=st.text(max_size=8))
def test_another_length_refuses(cut, more):
    """Text that was cut short, or goes on."""
    text = make_seal().seal(begin(), NOW)
    changed = text[: min(cut, len(text))] + more
    expected = begin() if changed == text else None
    assert make_seal().open(Session, changed, NOW) == expected


@given(raw=st.one_of(st.binary(max_size=200).map(encode_base64url), st.text(max_size=200)))
def test_what_others_made_does_not_open(raw):
    """Whatever a peer sends: nothing, and no error."""
    for kind in (Session, Link, Visit):
        assert make_seal().open(kind, raw, NOW) is None


def test_a_text_beyond_any_cookie_is_not_looked_at():
    """Its length is bounded before anything is done with it."""
    assert make_seal().open(Session, "A" * 4_100, NOW) is None


def test_each_kind_opens_as_itself_alone():
    """A link is no session, though it has a name in it."""
    for value in VALUES:
        text = make_seal().seal(value, NOW)
        for kind in {Session, Link, Visit} - {type(value)}:
            assert make_seal().open(kind, text, NOW) is None


def test_another_origin_or_root_opens_nothing():
    """A cookie of one console does nothing at another."""
    text = make_seal().seal(begin(), NOW)
    assert make_seal(origin="https://login.example.org").open(Session, text, NOW) is None
    assert make_seal(root=bytes(32)).open(Session, text, NOW) is None


@given(later=st.integers(0, 3 * KEY_SECONDS))
def test_no_key_outlives_its_period_by_more_than_one(later):
    """Whatever a sealed value says of its end."""
    endless = begin()._replace(ends=NOW + 10 * KEY_SECONDS)
    text = make_seal().seal(endless, NOW)
    is_open = make_seal().open(Session, text, NOW + later) is not None
    assert is_open == (((NOW + later) // KEY_SECONDS - NOW // KEY_SECONDS) <= 1)


def test_a_node_whose_clock_is_ahead_is_understood():
    """By one period; one whose clock is a day ahead is not."""
    assert make_seal().open(Visit, make_seal().seal(VALUES[3], NOW + KEY_SECONDS), NOW)
    assert make_seal().open(Visit, make_seal().seal(VALUES[3], NOW + 86_400), NOW) is None


def test_two_sessions_share_neither_id_nor_csrf_nor_text():
    """Also of the same client in the same second."""
    random_bytes = Counted()
    first, second = (
        Session.begin("till", "s1", now=NOW, random_bytes=random_bytes) for _ in range(2)
    )
    assert len({first.id, first.csrf, second.id, second.csrf}) == 4
    seal = make_seal()
    assert seal.seal(first, NOW) != seal.seal(first, NOW)


def test_the_sealed_text_shows_nothing():
    """Neither who is signed in nor what the forms carry can be read from a cookie."""
    session = begin("a-client-with-a-long-name")
    raw = decode_base64url(make_seal().seal(session, NOW))
    assert session.name.encode() not in raw
    assert session.csrf.encode() not in raw


def test_no_representation_shows_what_proves_anything():
    """In a log or an error there are names alone."""
    shown = repr([make_seal(), *VALUES])
    for value in VALUES:
        for secret in (getattr(value, "id", None), getattr(value, "csrf", None)):
            assert secret is None or secret not in shown
    assert ROOT.hex() not in shown


def test_a_user_of_the_machine_has_no_credential():
    """What tells a user from a client of the same name."""
    assert begin("alice", None).is_user
    assert not begin("alice", "s1").is_user


@pytest.mark.parametrize(("sent", "is_right"), [("abc", True), ("abd", False), ("", False)])
def test_a_form_carries_what_its_session_gave(sent, is_right):
    """And nothing else; a form without it sends nothing."""
    assert is_csrf(sent, "abc") is is_right
    assert not is_csrf(None, "abc")
    assert not is_csrf("\udc80é", "abc")


@pytest.mark.parametrize(
    ("method", "origin", "site", "is_own"),
    [
        ("POST", ORIGIN, "same-origin", True),
        ("POST", ORIGIN, None, True),
        ("POST", ORIGIN, "cross-site", False),
        ("POST", ORIGIN, "same-site", False),
        ("POST", None, "same-origin", False),
        ("POST", None, None, False),
        ("POST", "null", "same-origin", False),
        ("POST", "https://evil.example", None, False),
        ("POST", ORIGIN + ":8443", None, False),
        ("POST", "http://login.example.com", None, False),
        ("GET", None, None, True),
        ("GET", None, "none", True),
        ("GET", None, "same-origin", True),
        ("GET", ORIGIN, "same-origin", True),
        ("GET", None, "cross-site", False),
        ("HEAD", None, "same-site", False),
        ("GET", "https://evil.example", None, False),
    ],
)
def test_only_pages_of_the_console_post(method, origin, site, is_own):
    """A read may come from no page; a form has the console's own origin (RFC 6454 §7)."""
    found = is_own_request(method, origin=origin, fetch_site=site, own_origin=ORIGIN)
    assert found is is_own


@pytest.mark.parametrize(
    "path",
    [
        "/console/clients",
        "/console/clients/a%2Fb",
        "/console/clients?state=disabled&after=x",
        "/console?x=1",
        "/console/clients/",
    ],
)
def test_sign_in_leads_on_to_pages_of_the_console(path):
    """As they were asked for."""
    assert choose_next(path, BASE) == path


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "/",
        "/consolex",
        "//evil.example/console/",
        "/\\evil.example",
        "/console/\\evil",
        "/console//evil.example",
        "/console/../admin/api/v1/clients",
        "/console/%2e%2e/admin",
        "/console/%2E./admin",
        "/console/a\r\nset-cookie:x",
        "https://evil.example/console/clients",
        "javascript:alert(1)",
        "/console/a#b",
        "/console/é",
        "/console/%zz",
        "/console/" + "a" * 5_000,
    ],
)
def test_sign_in_leads_nowhere_else(path):
    """No open redirect: anything but a plain path of the console is its first page."""
    assert choose_next(path, BASE) == BASE


@given(path=st.text(alphabet="/consle.%2eE\\?#:@ax", max_size=40))
def test_what_is_chosen_stays_below_the_console(path):
    """Whatever was asked for, a browser that resolves it stays on the console's own paths."""
    chosen = choose_next(path, BASE)
    assert chosen == BASE or chosen.startswith((BASE + "/", BASE + "?"))
    assert not {"\\", "#", " "} & set(chosen)
    assert "//" not in chosen.partition("?")[0]
