"""RFC 6750: challenges and refusals as a client sees them."""

import re

import pytest

from consumer.token_scheme import BEARER
from resource_api.errors import DESCRIPTIONS, Reason
from resource_api.guard import require
from tests.support.protected_api import Answer, ProtectedApi, ask, bearer
from watchword.testing.forge import NOW, TokenForge

FORGE = TokenForge()
METADATA = "https://api.example/.well-known/oauth-protected-resource"
# RFC 6750 §3: auth-params, quoted; the characters of RFC 6749 §5.2 within.
CHALLENGE = re.compile(r'Bearer (?:[a-z_]+="[\x20-\x21\x23-\x5b\x5d-\x7e]*"(?:, |$))+')


def parameters(answer: Answer) -> dict[str, str]:
    """Read the challenge; each parameter stands once."""
    challenge = answer.challenge or ""
    assert CHALLENGE.fullmatch(challenge)
    pairs = re.findall(r'([a-z_]+)="([^"]*)"', challenge)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


async def answers() -> dict[int, Answer]:
    """Provoke one refusal of each kind that carries a challenge."""
    api = ProtectedApi(FORGE)
    narrow = ProtectedApi(FORGE, app=require("read", "admin").app(api.protected))
    return {
        0: await ask(api.app),
        400: await ask(api.app, "GET", "/read", bearer(b"a b")),
        401: await api.ask(FORGE.token(exp=NOW - 100)),
        403: await narrow.ask(FORGE.token()),
    }


@pytest.mark.rfc("6750-3-1", "9728-5.1-1")
async def test_challenges_are_well_formed() -> None:
    """Every refusal has one Bearer challenge: quoted, no parameter twice, where to learn more."""
    for answer in (await answers()).values():
        found = parameters(answer)
        assert (found["realm"], found["resource_metadata"]) == ("api", METADATA)
        assert answer.header("cache-control") == "no-store"
        assert answer.header("content-type") == "application/json"
        assert int(answer.header("content-length") or 0) == len(answer.body)


@pytest.mark.rfc("6750-3.1-1")
async def test_errors_are_named_where_credentials_came() -> None:
    """No credentials, no error; otherwise the code that RFC 6750 §3.1 has for the case."""
    found = {
        status: parameters(answer).get("error") for status, answer in (await answers()).items()
    }
    assert found == {
        0: None,
        400: "invalid_request",
        401: "invalid_token",
        403: "insufficient_scope",
    }


@pytest.mark.rfc("6750-3.1-1")
async def test_insufficient_scope_names_all_that_is_needed() -> None:
    """403 lists every scope of the route, those that the token has among them."""
    assert parameters((await answers())[403])["scope"] == "read admin"


@pytest.mark.rfc("6750-3.1-2")
def test_descriptions_are_a_fixed_list() -> None:
    """Every reason has a sentence, in the allowed characters, without values of ours."""
    assert set(DESCRIPTIONS) == set(Reason)
    for text in DESCRIPTIONS.values():
        assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", text)
        assert "://" not in text


@pytest.mark.rfc("6750-3.1-2")
async def test_descriptions_do_not_tell_checks_apart() -> None:
    """Who sends a forged token does not learn which check it failed."""
    api = ProtectedApi(FORGE)
    forged = [FORGE.token(header={"kid": "unknown"}), FORGE.token(header={"typ": "JWT"})]
    assert len({(await api.ask(token)).body for token in forged}) == 1
    reasons = [fields["reason"] for name, fields in api.events if name == "request.refused"]
    assert reasons == ["unknown_key", "wrong_type"]


@pytest.mark.rfc("6750-3.1-2")
async def test_a_client_is_told_what_its_settings_have_to_do_with_it() -> None:
    """The consumer knows by these sentences that another token would be refused as well."""
    api = ProtectedApi(FORGE)
    told = []
    for token in (FORGE.token(iss="https://x.example"), FORGE.token(aud="https://x.example")):
        challenge = (await api.ask(token)).challenge or ""
        assert BEARER.challenge([challenge])["error"] == "invalid_token"
        assert not BEARER.rejects_token([challenge])
        told.append(BEARER.challenge([challenge])["error_description"])
    assert told == [
        "the access token is from another issuer",
        "the access token is for another audience",
    ]


@pytest.mark.rfc("6750-2.1-1", "9700-4.10-1")
async def test_events_name_the_client_only_when_it_is_proven() -> None:
    """A refusal for scope names the verified client; one for the token names none."""
    api = ProtectedApi(FORGE)
    narrow = ProtectedApi(FORGE, app=require("admin").app(api.protected))
    await narrow.ask(FORGE.token())
    await narrow.ask(FORGE.token(sub="x", exp=1, iat=1))
    (_, _), (_, scope), (_, expired) = narrow.events
    assert scope == {"reason": "insufficient_scope", "status": 403, "client_id": "svc-a"}
    assert expired == {"reason": "expired", "status": 401, "kid": FORGE.jwk.kid}
