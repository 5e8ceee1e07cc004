"""Whatever a password consists of, and however it is written, no part of it is ever shown."""

import traceback
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from issuer.registry.errors import InvalidValue
from issuer.storage.database_url import parse_database_url
from watchword.settings import SettingsError, load_settings

SHAPES = (
    "postgresql://user:{}@db.example/name",
    "postgresql://user:{}@db.example:5432/name?sslmode=require",
    "postgresql://user:{}@one.example,two.example/name",
    "postgresql://{}@db.example/name?password={}",
    "postgresql://db.example/name?user=u&password={}",
    "postgresql://db.example/name?sslmode=require&sslpassword={}",
    "user:{}@db.example/name",
)
FRAGMENTS = st.sampled_from(
    ["@", "?", "/", "#", ":", "%", "&", "=", ",", "[", "]", "\n", "é", " ", "+", "%zz", "zq", "ZQX"]
)
# Letters that no message has side by side, so that what is found is from the password.
PASSWORDS = st.lists(FRAGMENTS | st.text("zqxjkZQXJK0918", min_size=1, max_size=8)).map("".join)


def _parts(secret):
    return {secret[at : at + 4] for at in range(len(secret) - 3)}


def _said(url):
    """Return all that is told of a URL, by the parser and by the settings."""
    try:
        place = parse_database_url(url)
    except InvalidValue as error:
        said = str(error) + repr(error) + "".join(traceback.format_exception(error))
    else:
        said = place.shown + repr(place) + str(place)
    try:
        said += repr(load_settings(database_url=url))
    except SettingsError as error:
        said += str(error) + "".join(traceback.format_exception(error))
    return said


@given(PASSWORDS, st.sampled_from(SHAPES), st.booleans())
@example("zq@zqxj", SHAPES[0], False)
@example("0918?zqxj", SHAPES[0], False)
@example("0918?zqxj=0918", SHAPES[0], False)
@example("zqxj&zqxj=0918", SHAPES[4], False)
def test_no_part_of_a_password_is_told(secret, shape, escaped):
    """Four characters in a row are a part; a URL without the secret tells what is always there."""
    written = quote(secret, safe="") if escaped else secret
    user = "user"
    values = (user, written) if shape.count("{}") == 2 else (written,)
    always = _said(shape.format(*([user, "w"] if len(values) == 2 else ["w"]))) + _MESSAGES
    told = _said(shape.format(*values))
    assert [
        each for each in _parts(secret) | _parts(written) if each in told and each not in always
    ] == []


_MESSAGES = "".join(
    _said(f"postgresql://{rest}")
    for rest in ("@@", "h/?a", "h:x", "h/?port=1,2", "[h", "/?port=1", "/?password=%ff", "%ff@h")
)


@given(PASSWORDS)
def test_an_escaped_password_arrives_as_it_is(secret):
    """What `quote` writes is what the server is given."""
    place = parse_database_url(f"postgresql://u:{quote(secret, safe='')}@h/db")
    assert place.password == (secret or None)
