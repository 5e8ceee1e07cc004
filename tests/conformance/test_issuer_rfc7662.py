"""RFC 7662 and RFC 9701 as the issuer keeps them: what `/introspect` tells, and to whom."""

from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from pydantic import ValidationError

from issuer.endpoints.sent_token import SentToken
from issuer.introspection import wants_signed
from issuer.registry.client import ClientRegistration
from issuer.registry.client_description import facts_of_client
from issuer.registry.schema import read, write
from issuer.status.lists import StatusLists
from issuer.status.positions import (
    Position,
    Status,
    StatusChange,
    bucket_for,
    status_claim,
)
from keys.errors import SignerUnavailable
from tests.support.issuer import (
    API,
    FORM,
    ISSUER,
    NOW,
    OTHER_API,
    SECRET,
    Answer,
    Clients,
    TestIssuer,
    basic,
    call,
    make_client,
)
from tests.support.keys import rsa_key
from watchword.testing.forge import TokenForge

FORGE = TokenForge(rsa_key(), issuer=ISSUER, resource=API, now=NOW)
PLACE = Position(bucket_for(NOW, 300), 5)
SIGNED = "application/token-introspection+jwt"
FORM_HEADER = (b"content-type", FORM.encode())


def issuer_of(*gateways: Any) -> TestIssuer:
    """Give an issuer of a client that gets tokens, and of gateways; the lists are empty."""
    gateways = gateways or (make_client("gateway", grants=(), introspects=(API,)),)
    issuer = TestIssuer(clients=Clients(make_client(), *gateways))
    issuer.statuses.apply((), NOW, counts={})
    return issuer


async def ask(
    issuer: TestIssuer,
    token: bytes | str,
    *,
    accept: bytes | None = None,
    client_id: str = "gateway",
    **form: str,
) -> Answer:
    """Introspect a token."""
    text = token if isinstance(token, str) else token.decode("latin-1")
    body = urlencode({"token": text, **form}).encode()
    headers = [FORM_HEADER, (b"authorization", basic(client_id, SECRET))]
    if accept is not None:
        headers.append((b"accept", accept))
    return await call(issuer.introspection, "POST", "/introspect", headers, body)


@pytest.mark.rfc("7662-2-1", "7662-2.2-1")
async def test_a_live_token_is_shown_by_the_members_of_the_rfc() -> None:
    """All that it says under the claims' own names, but for its status, which `active` is."""
    issued = (await (issuer := issuer_of()).ask()).json["access_token"]
    answer = await ask(issuer, issued)
    assert answer.status == 200
    assert answer.header("content-type") == "application/json"
    assert answer.header("cache-control") == "no-store"
    assert answer.json == {
        "active": True,
        "iss": ISSUER,
        "sub": "svc-a",
        "client_id": "svc-a",
        "aud": API,
        "iat": NOW,
        "exp": NOW + 3600,
        "jti": "jti-1",
        "scope": "read write",
        "token_type": "Bearer",
    }


@pytest.mark.rfc("7662-2.2-1")
async def test_what_else_a_token_says_is_told_as_well() -> None:
    """Bindings, actors and details are what a resource decides by; its status is left out."""
    said = {
        "aud": [OTHER_API, API],
        "nbf": NOW,
        "act": {"sub": "svc-b"},
        "authorization_details": [{"type": "transfer"}],
        "cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
        "tenant": "é",
    }
    token = FORGE.token(**said, status=status_claim(PLACE, ISSUER))
    answer = (await ask(issuer_of(), token)).json
    assert {name: answer[name] for name in said} == said
    assert answer["token_type"] == "DPoP"
    assert "status" not in answer
    bound = FORGE.token(cnf={"x5t#S256": "x"})
    assert (await ask(issuer_of(), bound)).json["token_type"] == "Bearer"


@pytest.mark.attack("V40")
@pytest.mark.rfc("7662-2-1", "7662-4-1")
async def test_whatever_a_token_is_not_the_answer_is_the_same_bytes() -> None:
    """Unknown, malformed, expired, revoked, suspended, another's, not yours: no oracle."""
    issuer = issuer_of()
    places = {
        status: Position(PLACE.bucket, number)
        for number, status in enumerate((Status.INVALID, Status.SUSPENDED))
    }
    changes = [
        StatusChange(number + 1, place.bucket, place.index, 1, status)
        for number, (status, place) in enumerate(places.items())
    ]
    issuer.statuses.apply(changes, NOW, counts={PLACE.bucket: 16})
    revoked, suspended = (
        FORGE.token(status=status_claim(each, ISSUER)) for each in places.values()
    )
    inactive = [
        b"unknown",
        "é\x01",
        b"x" * 60_000,
        FORGE.token(iat=NOW - 300, exp=NOW),
        FORGE.token(nbf=NOW + 1),
        revoked,
        suspended,
        FORGE.token(aud=OTHER_API),
        FORGE.token(aud=API + "/v2"),
        FORGE.token(iss="https://other.example"),
        TokenForge(rsa_key(1), issuer=ISSUER, resource=API, now=NOW).token(),
        FORGE.token(header={"typ": "token-introspection+jwt"}),
        FORGE.token(header={"typ": "statuslist+jwt"}),
        FORGE.token(status={"status_list": {"idx": True, "uri": ISSUER}}),
        FORGE.token()[:-4] + b"AAAA",
    ]
    answers = [await ask(issuer, token) for token in inactive]
    assert {(each.status, each.body) for each in answers} == {(200, b'{"active":false}')}
    assert {tuple(each.headers) for each in answers} == {tuple(answers[0].headers)}
    assert (await ask(issuer, FORGE.token())).json["active"] is True
    assert issuer.events == []


@pytest.mark.attack("V40")
@pytest.mark.rfc("7662-2-1")
async def test_a_token_of_a_withdrawn_key_is_inactive() -> None:
    """What is not published any more does not count, however good the signature."""
    issuer = issuer_of()
    issuer.keys.key = None
    assert (await ask(issuer, FORGE.token())).body == b'{"active":false}'


@pytest.mark.rfc("7662-2.1-1")
async def test_who_may_introspect_nothing_is_refused_whatever_the_token() -> None:
    """The endpoint asks for authorization; what it says depends on the caller alone."""
    issuer = issuer_of()
    answers = [await ask(issuer, token, client_id="svc-a") for token in (FORGE.token(), b"x")]
    assert {(each.status, each.json["error"]) for each in answers} == {(400, "unauthorized_client")}
    assert answers[0].body == answers[1].body
    assert (
        issuer.events
        == [
            (
                "introspection.refused",
                {"reason": "introspects_nothing", "client_id": "svc-a", "asked": None},
            )
        ]
        * 2
    )


@pytest.mark.rfc("7662-4-1")
async def test_a_caller_sees_tokens_of_its_resources_alone() -> None:
    """Each gateway for its own; the two spellings of a URI without path are one resource."""
    issuer = issuer_of(
        make_client("one", grants=(), introspects=(API,)),
        make_client("slash", grants=(), introspects=(API + "/",)),
        make_client("other", grants=(), introspects=(OTHER_API,)),
    )
    seen = {
        name: (await ask(issuer, FORGE.token(), client_id=name)).json["active"]
        for name in ("one", "slash", "other")
    }
    assert seen == {"one": True, "slash": True, "other": False}


@pytest.mark.rfc("7662-2-1")
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "anything", ""])
async def test_a_hint_changes_nothing(hint: str) -> None:
    """RFC 7662 §2.1: it only says where to look first."""
    answer = await ask(issuer_of(), FORGE.token(), token_type_hint=hint)
    assert answer.json["active"] is True


@pytest.mark.rfc("9701-1", "9701-5-1")
@pytest.mark.parametrize("live", [True, False])
async def test_a_signed_answer_is_typed_and_for_the_caller_alone(live: bool) -> None:
    """`iss`, `aud`, `iat` and the answer; neither `sub` nor `exp`: no access token."""
    issuer = issuer_of()
    answer = await ask(issuer, FORGE.token() if live else b"unknown", accept=SIGNED.encode())
    assert (answer.status, answer.header("content-type")) == (200, SIGNED)
    assert answer.header("cache-control") == "no-store"
    text = answer.body.decode()
    header = jwt.get_unverified_header(text)
    assert header == {
        "alg": "RS256",
        "typ": "token-introspection+jwt",
        "kid": FORGE.jwk.kid,
    }
    claims = jwt.decode(
        text,
        rsa_key().public_key(),
        algorithms=["RS256"],
        audience="gateway",
        options={"verify_iat": False},
    )
    plain = (await ask(issuer, FORGE.token() if live else b"unknown")).json
    assert claims == {"iss": ISSUER, "aud": "gateway", "iat": NOW, "token_introspection": plain}
    assert plain["active"] is live


@pytest.mark.rfc("9701-1")
@pytest.mark.parametrize(
    ("accept", "signed"),
    [
        (None, False),
        (b"*/*", False),
        (b"application/json", False),
        (b"text/html", False),
        (b"Application/Token-Introspection+JWT", True),
        (b"application/token-introspection+jwt;q=0", False),
        (b"application/token-introspection+jwt;q=0.5, application/json", False),
        (b"application/json;q=0.5 , application/token-introspection+jwt ; q=0.9", True),
        (b"application/token-introspection+jwt;v=1;q=x", False),
        (b"application/token-introspection+jwt;v=1", True),
        (b"\xff, ;q", False),
    ],
)
def test_only_who_names_the_type_gets_a_signed_answer(accept: bytes | None, signed: bool) -> None:
    """RFC 9110 §12.5.1: by its weight, beside that of JSON."""
    headers = [] if accept is None else [(b"accept", accept)]
    assert wants_signed([(b"host", b"x"), *headers]) is signed
    split = [(b"accept", each) for each in (accept or b"").split(b",")]
    assert wants_signed(split) is signed


@pytest.mark.attack("T23")
async def test_without_a_key_to_sign_with_a_signed_answer_is_503() -> None:
    """Never unsigned; a plain answer needs no key."""
    issuer = issuer_of()
    issuer.keys.key = None
    answer = await ask(issuer, b"x", accept=SIGNED.encode())
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert answer.json == {"error": "temporarily_unavailable"}
    assert (await ask(issuer, b"x")).status == 200

    class Away:
        kid, alg = "k", "RS256"

        async def sign(self, signing_input: bytes) -> bytes:
            raise SignerUnavailable("the signer gave no answer within 2 seconds")

    issuer.keys.key = Away()
    assert (await ask(issuer, b"x", accept=SIGNED.encode())).status == 503
    assert [said["reason"] for _, said in issuer.events] == ["no_signing_key", "signer_unavailable"]


async def test_before_the_registry_was_read_it_is_503_and_no_statement_runs_after() -> None:
    """A token that may have been revoked is neither active nor inactive; memory is enough else."""
    issuer = issuer_of()
    issuer.statuses = StatusLists(longest=86_400)
    answer = await ask(issuer, FORGE.token(status=status_claim(PLACE, ISSUER)))
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert issuer.events[-1][1]["reason"] == "store_unavailable"
    issuer.statuses.apply((), NOW, counts={})
    issuer.clients.store_is_down = True
    assert (await ask(issuer, FORGE.token(status=status_claim(PLACE, ISSUER)))).json["active"]
    assert issuer.clients.fetches == 0


async def test_the_secret_of_a_gateway_counts_as_used() -> None:
    """A caller that only introspects must not seem to have left its secret behind."""
    issuer = issuer_of()
    await ask(issuer, FORGE.token())
    batch = issuer.usage.take()
    assert (batch.credentials, batch.grants) == ({("gateway", "s1"): NOW}, {})


def test_a_client_introspects_named_resources() -> None:
    """The attribute is absent where there is none, and a malformed name is refused."""
    document = {"client_id": "gw", "introspects": [OTHER_API, API]}
    client = read(ClientRegistration, document)
    assert client.introspects == (OTHER_API, API)
    assert write(client)["introspects"] == [OTHER_API, API]
    assert "introspects" not in write(ClientRegistration(client_id="gw"))
    turned = read(ClientRegistration, document | {"introspects": [API, OTHER_API]})
    assert facts_of_client(client) == facts_of_client(turned)
    with pytest.raises(ValidationError, match="must be an absolute URI"):
        read(ClientRegistration, document | {"introspects": ["nowhere"]})


def test_a_sent_token_shows_who_sent_it_and_never_itself() -> None:
    """A representation may end up in a log."""
    sent = SentToken(make_client("gateway"), "a.b.c", NOW)
    assert repr(sent) == "SentToken(client_id='gateway')"
