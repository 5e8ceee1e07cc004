"""The story: told in order when all is well, and ended with a reason when it is not."""

import httpx
import pytest

from consumer.client_auth import ClientSecretBasic
from consumer.demo.scenario import run
from tests.support.demo_provider import CLIENT, ISSUER, SECRET, DemoProvider

EXPECTED = [
    ("GET /public", "200 OK moo"),
    ("GET /read-resource", "401 Unauthorized"),
    ("POST /token", '401 Unauthorized {"error":"invalid_client"}'),
    ("POST /token", '200 OK {"access_token":"'),
    ("GET /read-resource", '200 OK {"resource":null}'),
    ("POST /write-resource", "401 Unauthorized"),
    ("POST /write-resource", '200 OK {"message":"resource created"}'),
    ("GET /read-resource", '200 OK {"resource":"foo-bar-moo"}'),
    ("POST /token", '200 OK {"access_token":"'),
    ("POST /write-resource", "403 Forbidden {}"),
    ("GET /jwks", '200 OK {"keys":['),
    ("POST /token", '200 OK {"access_token":"'),
    ("POST /revoke", "200 OK {}"),
    ("GET /read-resource", "401 Unauthorized"),
]


@pytest.fixture(scope="module")
def key():
    """One real key for all tellings."""
    return DemoProvider().key


@pytest.fixture
def provider(key):
    """A provider that does everything right."""
    return DemoProvider(key)


def tell(provider, **changes):
    """Tell the story; return the exit code and the lines."""
    lines = []
    settings = {"issuer": ISSUER, "api": ISSUER, "auth": ClientSecretBasic(CLIENT, SECRET)}
    settings |= {"transport": provider.transport()} | changes
    return run(out=lines.append, **settings), lines


def test_the_story_is_told_in_order(provider):
    """Each line has its request, a reason and the answer; the last one says that all is well."""
    code, lines = tell(provider)
    assert code == 0
    assert all(line.startswith("[Consumer]: ") for line in lines)
    asked = [line for line in lines if "=> response: " in line]
    for line, (request, response) in zip(asked, EXPECTED, strict=True):
        method, path = request.split()
        assert line.startswith(f"[Consumer]: {method} {ISSUER}{path}, ")
        assert line.partition("=> response: ")[2].startswith(response)
    assert "signature" in lines[11]
    assert "key-1" in lines[11]
    assert lines[13] == "[Consumer]: 100 requests with it => all of them 200 OK"
    assert lines[-2].endswith("after it was revoked, at request 3")
    assert lines[-1] == "[Consumer]: every answer was the expected one"


def test_it_can_be_told_again(provider):
    """The first reading then finds what the last telling wrote."""
    assert tell(provider)[0] == 0
    code, lines = tell(provider, api=f"{ISSUER}/")
    assert code == 0
    assert lines[4].endswith('=> response: 200 OK {"resource":"foo-bar-moo"}')


@pytest.mark.rfc("9700-4.10-1")
def test_neither_secret_nor_token_is_shown(provider):
    """Of a token the first characters, of the secret nothing, even if the issuer echoes it."""
    provider.spoil("POST", "/token", 3, 400, {"error": f"bad {SECRET}"})
    code, lines = tell(provider)
    shown = "\n".join(lines)
    assert code == 1
    assert SECRET not in shown
    assert not any(token in shown for token in provider.tokens)
    assert all(token[:12] + "…" in shown for token in provider.tokens)


@pytest.mark.parametrize(
    ("where", "answer", "said"),
    [
        (("GET", "/public", 1), (200, "mooo"), "expected 200 moo, got 200 mooo"),
        (("GET", "/public", 1), (500, "x\x1b[31m\n"), "expected 200 moo, got 500"),
        (
            ("GET", "/read-resource", 1),
            (200, {"resource": None}),
            "expected 401 without an error code, got 200 without an error code",
        ),
        (("POST", "/token", 1), (200, {}), "expected 401 invalid_client, got 200 None"),
        (("POST", "/token", 1), (401, "[]"), "expected 401 invalid_client, got 401 None"),
        (
            ("POST", "/token", 2),
            (400, {"error": "invalid_scope"}),
            "the token request was refused with 400 invalid_scope",
        ),
        (
            ("POST", "/token", 2),
            (200, {"access_token": "t", "token_type": "bearer", "scope": "read write"}),
            "expected token_type Bearer, got token_type bearer",
        ),
        (
            ("POST", "/token", 2),
            (200, {"access_token": "t", "token_type": "Bearer", "scope": "read"}),
            "expected scope read write, got scope read",
        ),
        (
            ("POST", "/token", 2),
            (200, {"access_token": "t", "token_type": "Bearer", "scope": "read write"}),
            "expected expires_in in whole seconds",
        ),
        (
            ("GET", "/read-resource", 2),
            (200, {"resource": "else"}),
            'expected 200 {"resource":null} or 200 {"resource":"foo-bar-moo"}, got the answer',
        ),
        (
            ("POST", "/write-resource", 1),
            (200, {"message": "resource created"}),
            "expected 401 invalid_token, got 200 without an error code",
        ),
        (
            ("POST", "/write-resource", 3),
            (401, "", {"WWW-Authenticate": 'Bearer error="invalid_token"'}),
            "expected 403 insufficient_scope, got 401 invalid_token",
        ),
        (("GET", "/jwks", 1), (503, ""), "expected 200, got 503"),
        (("POST", "/revoke", 1), (503, {}), "expected 200, got 503"),
        (("GET", "/read-resource", 10), (401, ""), 'expected 200 {"resource":"foo-bar-moo"}'),
        (
            ("GET", "/read-resource", 104),
            (503, ""),
            "expected 401 invalid_token, got 503 without an error code",
        ),
        (("GET", "/jwks", 1), (200, {"keys": []}), "expected a valid signature, got: "),
        (
            ("GET", "/.well-known/oauth-authorization-server", 1),
            (200, {"issuer": f"{ISSUER}/", "token_endpoint": ISSUER}),
            "name another issuer",
        ),
    ],
)
def test_an_answer_that_does_not_belong_ends_the_story(provider, where, answer, said):
    """The last line says what was expected and what came."""
    status, document, *headers = answer
    provider.spoil(*where, status, document, **(headers[0] if headers else {}))
    code, lines = tell(provider)
    assert code == 1
    assert lines[-1].startswith("[Consumer]: the scenario ends here: ")
    assert said in lines[-1]
    assert all(line.isprintable() for line in lines)


def test_a_token_that_stays_good_ends_the_story(provider, monkeypatch):
    """A revocation without effect is not waited for longer than the issuer said, and a little."""
    provider.late = 1_000
    monkeypatch.setattr("consumer.demo.scenario._LATE", -16)
    code, lines = tell(provider)
    assert code == 1
    assert "expected 401 invalid_token, got 200" in lines[-1]


def test_a_token_on_no_list_is_not_revoked(provider):
    """The story says so and goes on."""
    provider.has_lists = False
    code, lines = tell(provider)
    assert code == 0
    assert lines[-2].endswith("on no status list, so it counts until it ends => not revoked")
    assert ("POST", "/revoke") not in provider.seen


def test_a_provider_that_is_not_there_is_one_line(provider):
    """No traceback, and the address that was tried."""

    def refuse(request):
        raise httpx.ConnectError("Connection refused", request=request)

    code, lines = tell(provider, transport=httpx.MockTransport(refuse))
    assert code == 1
    assert lines == [
        f"[Consumer]: the scenario ends here: {ISSUER}/public cannot be reached: Connection refused"
    ]


@pytest.mark.rfc("21-1.5-1")
@pytest.mark.parametrize(
    "addresses", [{"issuer": "http://a.example"}, {"api": "http://a.example"}, {"api": "nonsense"}]
)
def test_impossible_addresses_are_one_line(provider, addresses):
    """Nothing is sent to them."""
    code, lines = tell(provider, **addresses)
    assert (code, len(lines), provider.seen) == (1, 1, [])


def test_plain_http_inside_a_private_network_may_be_allowed(key):
    """For issuer, endpoints and API alike."""
    inside = "http://provider:8080"
    code, lines = tell(DemoProvider(key, inside), issuer=inside, api=inside)
    assert (code, len(lines)) == (1, 1)
    told = tell(DemoProvider(key, inside), issuer=inside, api=inside, allow_insecure_http=True)
    assert told[0] == 0


def rotation(provider, *turns, seconds=5):
    """Rotate: another key signs after these turns."""

    def rotate():
        provider.kids.append("key-2")
        provider.turns += turns
        return "key-2", seconds

    return rotate


def test_a_rotation_refuses_no_request(provider):
    """The operator's line is between two requests; both tokens are accepted at the end."""
    code, lines = tell(provider, rotate=rotation(provider, "key-1", "key-1"))
    assert code == 0
    (at,) = (number for number, line in enumerate(lines) if line.startswith("[Operator]: "))
    assert "key-2 signs in 5 s" in lines[at]
    assert " a token before the rotation => response: 200 OK" in lines[at - 1]
    # Two tokens of the old key, each with the set and a reading; one of the new key, with the set.
    assert lines[at + 1].startswith("[Consumer]: 8 requests until a token is signed with it => all")
    assert " a token after the rotation => response: 200 OK" in lines[at + 2]
    for when, line in zip(("before", "after"), lines[at + 3 : at + 5], strict=True):
        assert f" read with the token from {when} => response: 200 OK" in line
    assert lines[at + 5 :] == ["[Consumer]: every answer was the expected one"]


def test_a_request_refused_meanwhile_ends_the_story(provider):
    """It is shown, though the requests around it are not."""
    # Two readings, a hundred with the token that is revoked then, and three until it is refused.
    provider.spoil("GET", "/read-resource", 3 + 100 + 3 + 1, 401, "")
    code, lines = tell(provider, rotate=rotation(provider, "key-1"))
    assert code == 1
    assert lines[-2].endswith("/read-resource, read meanwhile => response: 401 Unauthorized")
    assert "expected 200" in lines[-1]


def test_a_key_that_never_signs_ends_the_story(provider):
    """It waits no longer than the operator said, and a little."""
    code, lines = tell(provider, rotate=rotation(provider, *["key-1"] * 9, seconds=-30))
    assert code == 1
    assert "expected another key, got the same" in lines[-1]
