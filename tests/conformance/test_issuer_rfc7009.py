"""RFC 7009 as the issuer keeps it: who may revoke which token, and what the answer promises."""

from urllib.parse import urlencode

import pytest

from issuer.status.positions import (
    Position,
    Status,
    StatusChange,
    bucket_for,
    status_claim,
)
from tests.support.issuer import (
    API,
    FORM,
    ISSUER,
    NOW,
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
STATUS = status_claim(PLACE, ISSUER)
TOKEN = FORGE.token(status=STATUS)
DONE = (200, b"{}")


def make_issuer(status: Status | None = None) -> TestIssuer:
    """Give an issuer of two clients and an operator; the token may have a status already."""
    issuer = TestIssuer(clients=Clients(*map(make_client, ("svc-a", "svc-b", "operator"))))
    changes = () if status is None else (StatusChange(1, *PLACE, 1, status),)
    issuer.statuses.apply(changes, NOW, counts={PLACE.bucket: 16})
    return issuer


async def revoke(
    issuer: TestIssuer, token: bytes | str, *, client_id: str = "svc-a", **form: str
) -> Answer:
    """Have a client revoke a token."""
    text = token if isinstance(token, str) else token.decode("latin-1")
    body = urlencode({"token": text, **form}).encode()
    headers = [(b"content-type", FORM.encode()), (b"authorization", basic(client_id, SECRET))]
    return await call(issuer.revocation, "POST", "/revoke", headers, body)


@pytest.mark.rfc("7009-2-1")
@pytest.mark.parametrize("status", [None, Status.SUSPENDED])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "x"])
async def test_a_client_revokes_its_token(status: Status | None, hint: str | None) -> None:
    """Written before the answer; a suspended one too, and whatever the hint says (§2.1)."""
    issuer = make_issuer(status)
    answer = await revoke(issuer, TOKEN, **({} if hint is None else {"token_type_hint": hint}))
    assert (answer.status, answer.body) == DONE
    assert answer.header("cache-control") == "no-store"
    assert issuer.store.statuses == [(PLACE, Status.INVALID)]
    assert issuer.events == [("token.revoked", {"client_id": "svc-a", "jti": "token-1"})]


@pytest.mark.rfc("7009-2.2-1")
async def test_a_token_that_was_revoked_is_not_written_again() -> None:
    """The same answer, and neither a row nor an event."""
    issuer = make_issuer(Status.INVALID)
    answer = await revoke(issuer, TOKEN)
    assert (answer.status, answer.body) == DONE
    assert (issuer.store.statuses, issuer.events) == ([], [])


@pytest.mark.rfc("7009-2.2-1")
@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (b"unknown", "malformed_token"),
        (b"x" * 60_000, "token_too_long"),
        ("é\x01", "malformed_token"),
        (TOKEN[:-1], "malformed_token"),
        (TOKEN.rpartition(b".")[0], "malformed_token"),
        (TOKEN + b" " + TOKEN, "malformed_token"),
        (TOKEN[:-4] + b"AAAA", "bad_signature"),
        (FORGE.token(iat=NOW - 400, exp=NOW - 60, status=STATUS), "expired"),
        (FORGE.token(iss="https://other.example", status=STATUS), "wrong_issuer"),
        (FORGE.token(status=status_claim(PLACE, "https://other.example")), "invalid_status"),
        (FORGE.token(header={"typ": "JWT"}, status=STATUS), "wrong_type"),
        (
            TokenForge(rsa_key(1), issuer=ISSUER, resource=API, now=NOW).token(status=STATUS),
            "unknown_key",
        ),
    ],
)
async def test_what_is_no_live_token_of_ours_is_no_error(token: bytes | str, reason: str) -> None:
    """It is as invalid as the client wants it to be; the log says that nothing was revoked."""
    issuer = make_issuer()
    answer = await revoke(issuer, token)
    assert (answer.status, answer.body) == DONE
    assert issuer.store.statuses == []
    said = {"reason": reason, "client_id": "svc-a"}
    assert issuer.events == [("revocation.ignored", said)]


@pytest.mark.rfc("7009-2-1")
@pytest.mark.parametrize(
    "copy",
    [
        "{}\n",
        " {}\t",
        "\ufeff{}\r\n",
        "Bearer {}",
        "DPoP {}\n",
        "Authorization: Bearer {}",
        '"{}"',
        "Bearer '{}'",
        "'Authorization: Bearer {}'",
        "\u200bBearer {}",
        "\u200b{}\u200b",
    ],
)
@pytest.mark.parametrize("inside", ["", " ", "\r\n", "\r\n  ", "\u200b", "\u00a0"])
async def test_a_copy_with_what_no_token_has_revokes_the_token(copy: str, inside: str) -> None:
    """Whoever stops a leak is told 200, so it has to be stopped (RFC 7515 §7.1)."""
    issuer = make_issuer()
    text = TOKEN.decode()
    answer = await revoke(issuer, copy.format(text[:40] + inside + text[40:]))
    assert (answer.status, answer.body) == DONE
    assert issuer.store.statuses == [(PLACE, Status.INVALID)]
    assert issuer.events == [("token.revoked", {"client_id": "svc-a", "jti": "token-1"})]


@pytest.mark.rfc("7009-2.1-1")
async def test_a_copy_of_the_token_of_another_client_is_refused_too() -> None:
    """It is known whose it is."""
    issuer = make_issuer()
    answer = await revoke(issuer, f"Bearer {TOKEN.decode()}\n", client_id="svc-b")
    assert (answer.status, answer.json["error"]) == (400, "unauthorized_client")
    assert issuer.store.statuses == []


async def test_a_token_that_apis_may_still_accept_is_revoked() -> None:
    """Their clocks may be behind, by as much as they allow for."""
    issuer = make_issuer()
    await revoke(issuer, FORGE.token(iat=NOW - 359, exp=NOW - 59, status=STATUS))
    assert issuer.store.statuses == [(PLACE, Status.INVALID)]


@pytest.mark.rfc("7009-2-1", "7009-2.1-1")
@pytest.mark.parametrize("status", [None, Status.INVALID])
async def test_the_token_of_another_client_is_refused_and_stays(status: Status | None) -> None:
    """§2.1: the client is informed. Whether it was revoked already makes no difference."""
    issuer = make_issuer(status)
    answer = await revoke(issuer, TOKEN, client_id="svc-b")
    assert (answer.status, answer.json["error"]) == (400, "unauthorized_client")
    assert issuer.store.statuses == []
    said = {"reason": "foreign_token", "client_id": "svc-b", "asked": None}
    assert issuer.events == [("revocation.refused", said)]


@pytest.mark.rfc("7009-2.1-1")
async def test_an_operator_revokes_any_token_and_on_record() -> None:
    """What records it also tells of it, so there is one event and no second one from here."""
    issuer = make_issuer()
    answer = await revoke(issuer, TOKEN, client_id="operator")
    assert (answer.status, answer.body) == DONE
    assert issuer.store.statuses == [(PLACE, Status.INVALID)]
    assert issuer.events == []


@pytest.mark.rfc("7009-2-1")
@pytest.mark.parametrize("client_id", ["svc-a", "operator"])
async def test_what_cannot_be_revoked_is_said_not_to_be(client_id: str) -> None:
    """§2.2.1: a token on no list counts until it expires, so 200 would promise too much."""
    issuer = make_issuer()
    answer = await revoke(issuer, FORGE.token(), client_id=client_id)
    assert (answer.status, answer.json["error"]) == (400, "unsupported_token_type")
    assert issuer.events[-1][1]["reason"] == "not_revocable"


async def test_a_token_that_ends_before_apis_could_be_told_needs_no_list() -> None:
    """It is over as soon as a revocation would have counted everywhere."""
    issuer = make_issuer()
    short = FORGE.token(exp=NOW + issuer.config.withdrawal_seconds)
    answer = await revoke(issuer, short)
    assert (answer.status, answer.body) == DONE
    longer = FORGE.token(exp=NOW + issuer.config.withdrawal_seconds + 1)
    assert (await revoke(issuer, longer)).status == 400


@pytest.mark.attack("T23")
@pytest.mark.rfc("7009-2-1", "7009-2.2-1")
@pytest.mark.parametrize("client_id", ["svc-a", "operator"])
async def test_while_the_store_is_away_it_is_not_revoked_yet(client_id: str) -> None:
    """§2.2.1: 503 with `Retry-After`, since the client must know that the token still exists."""
    issuer = make_issuer()
    issuer.store.is_away = True
    answer = await revoke(issuer, TOKEN, client_id=client_id)
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert answer.json == {
        "error": "temporarily_unavailable",
        "error_description": "the token is not revoked yet",
    }
    said = {"reason": "store_unavailable", "client_id": client_id, "asked": None}
    assert issuer.events == [("revocation.refused", said)]
