"""`issuer.client_auth`: who is authenticated, by which secret, and what is remembered."""

from collections.abc import Sequence

import pytest

from issuer.client_auth import secret as client_auth
from issuer.client_auth.methods import AuthenticatedClient, ClientAuthenticator
from issuer.client_request import ClientPassword, Evidence
from issuer.errors import InvalidClient, Reason, TemporarilyUnavailable
from issuer.limits import Limits
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import Client
from issuer.registry.credentials import SecretHash
from tests.support.issuer import NOW, SECRET, Clients, TestIssuer, basic, make_client, make_secret
from tests.support.secret_verifier import SlowHere, verifier_of

SHORT = "hunter2hunter2"
OTHER = "wws_" + "other-" * 7
URI = {"jwks_uri": "https://keys.example/jwks"}
WITHOUT_SECRETS = {
    AuthMethod.PRIVATE_KEY_JWT: URI,
    AuthMethod.SELF_SIGNED_TLS_CLIENT_AUTH: URI,
    AuthMethod.TLS_CLIENT_AUTH: {"tls_client_auth_san_dns": "svc-a.example"},
}


def two_clients() -> Clients:
    """Make two clients with slow secrets."""
    return Clients(
        *(make_client(name, secrets=(make_secret(SHORT, secret_id=name),)) for name in ("a", "b"))
    )


def authenticator_of(clients: Clients, slow: SlowHere | None = None) -> ClientAuthenticator:
    """Make an authenticator of these clients."""
    return ClientAuthenticator(clients, verifier_of(clients, slow), limits=Limits())


async def authenticate(
    authenticator: ClientAuthenticator, client_id: str, secret: str, now: int = NOW
) -> AuthenticatedClient:
    """Authenticate a client by its secret, sent in either way."""
    password = ClientPassword(client_id, secret)
    by_basic = await authenticator.authenticate(Evidence(basic=password), now=now)
    by_post = await authenticator.authenticate(Evidence(secret_post=password), now=now)
    assert by_basic[:2] == by_post[:2]
    assert (by_basic.method, by_post.method) == ("client_secret_basic", "client_secret_post")
    return by_basic


def without_secrets(method: AuthMethod, *secrets: str) -> Client:
    """Make a client of another method that still has secrets from before."""
    return make_client(
        token_endpoint_auth_method=method,
        **WITHOUT_SECRETS[method],
        secrets=tuple(make_secret(secret) for secret in secrets),
    )


async def refusal(authenticator: ClientAuthenticator, secret: str, now: int = NOW) -> InvalidClient:
    """Return why the client `svc-a` is refused with the secret."""
    with pytest.raises(InvalidClient) as caught:
        await authenticator.authenticate(Evidence(basic=ClientPassword("svc-a", secret)), now=now)
    return caught.value


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest proof goes first, and is paid again when it is needed again."""
    monkeypatch.setattr(client_auth, "REMEMBERED", 1)
    slow = SlowHere()
    authenticator = authenticator_of(two_clients(), slow)
    for name, verified in (("a", 1), ("b", 2), ("b", 2), ("a", 3)):
        proven = await authenticate(authenticator, name, SHORT, 1)
        assert (proven.client.client_id, slow.verified) == (name, verified)


async def test_a_proof_does_not_outlive_its_secret() -> None:
    """Once the hash is replaced, the old secret is refused although it was proven."""
    clients = two_clients()
    authenticator = authenticator_of(clients)
    await authenticate(authenticator, "a", SHORT, 1)
    changed = make_client("a", secrets=(make_secret("another-one", secret_id="a"),))
    clients.known["a"] = clients.stored["a"] = changed
    with pytest.raises(InvalidClient):
        await authenticate(authenticator, "a", SHORT, 1)


async def test_the_secret_that_was_used_is_told() -> None:
    """An operator who replaces a secret can see which one is still used; a slow one too."""
    secrets = (
        make_secret(SECRET, secret_id="old"),
        make_secret(OTHER, secret_id="new"),
        make_secret(SHORT, secret_id="short"),
    )
    authenticator = authenticator_of(Clients(make_client(secrets=secrets)))
    used = [
        (await authenticate(authenticator, "svc-a", secret)).credential_id
        for secret in (OTHER, SECRET, SHORT, SHORT, OTHER)
    ]
    assert used == ["new", "old", "short", "short", "new"]


async def test_the_use_of_a_secret_is_noted_once_a_token_was_issued() -> None:
    """What only failed did not use anything."""
    secrets = (make_secret(secret_id="old"), make_secret(OTHER, secret_id="new"))
    issuer = TestIssuer(clients=Clients(make_client(secrets=secrets)))
    await issuer.ask(auth=basic("svc-a", "x" * 40))
    await issuer.ask({"scope": "fly"})
    assert not issuer.usage.take()
    await issuer.ask(auth=basic("svc-a", OTHER))
    assert issuer.usage.take().credentials == {("svc-a", "new"): NOW}


@pytest.mark.parametrize("method", WITHOUT_SECRETS)
async def test_a_client_of_another_method_is_not_let_in_by_an_old_secret(
    method: AuthMethod,
) -> None:
    """RFC 7591 §2: what a client is registered for is how it proves itself, and nothing else is."""
    clients = Clients(without_secrets(method, SECRET, SHORT))
    authenticator = authenticator_of(clients)
    for secret in (SECRET, SHORT):
        error = await refusal(authenticator, secret)
        assert (error.reason, error.client_id) == (Reason.WRONG_METHOD, "svc-a")


@pytest.mark.parametrize("method", WITHOUT_SECRETS)
async def test_a_slow_secret_that_was_proven_is_worth_nothing_under_another_method(
    method: AuthMethod,
) -> None:
    """What is remembered of a secret goes no further than the secret itself."""
    before = make_client(secrets=(make_secret(SHORT),))
    clients = Clients(before)
    authenticator = authenticator_of(clients)
    await authenticate(authenticator, "svc-a", SHORT)
    after = make_client(
        token_endpoint_auth_method=method, **WITHOUT_SECRETS[method], secrets=before.secrets
    )
    clients.known["svc-a"] = clients.stored["svc-a"] = after
    assert (await refusal(authenticator, SHORT)).reason is Reason.WRONG_METHOD


@pytest.mark.rfc("6749-2.3.1-4")
async def test_a_client_without_plain_secrets_costs_what_every_refusal_costs() -> None:
    """The time does not tell that a client has another method: one look-up, one slow hash."""
    clients = Clients(
        without_secrets(AuthMethod.PRIVATE_KEY_JWT, SHORT),
        make_client("b", secrets=(make_secret(SHORT),)),
    )
    slow = SlowHere()
    await refusal(authenticator_of(clients, slow), SHORT)
    assert (clients.fetches, slow.verified) == (1, 1)


@pytest.mark.parametrize(("now", "accepted"), [(NOW - 1, True), (NOW, False), (NOW + 1, False)])
async def test_a_client_is_let_in_until_its_end(now: int, accepted: bool) -> None:
    """From that second on it is refused, whatever its secret says."""
    authenticator = authenticator_of(Clients(make_client(expires_at=NOW)))
    if accepted:
        await authenticate(authenticator, "svc-a", SECRET, now)
    else:
        error = await refusal(authenticator, SECRET, now)
        assert (error.reason, error.client_id) == (Reason.CLIENT_EXPIRED, "svc-a")


@pytest.mark.attack("T19")
async def test_an_expired_client_is_told_no_more_than_an_unknown_one() -> None:
    """401 `invalid_client` in the same bytes; the log knows better."""
    issuer = TestIssuer(clients=Clients(make_client(expires_at=NOW)))
    expired, unknown = await issuer.ask(), await issuer.ask(auth=basic("nobody", SECRET))
    assert (expired.status, expired.json["error"]) == (401, "invalid_client")
    assert (expired.headers, expired.body) == (unknown.headers, unknown.body)
    assert issuer.events[0][1]["reason"] == "client_expired"


@pytest.mark.parametrize(
    ("changes", "secret", "reason"),
    [
        ({"expires_at": NOW}, SECRET, Reason.CLIENT_EXPIRED),
        ({"disabled": True}, SECRET, Reason.CLIENT_DISABLED),
        ({"expires_at": NOW, "disabled": True}, SECRET, Reason.CLIENT_EXPIRED),
        ({"expires_at": NOW}, OTHER, Reason.WRONG_SECRET),
        ({"disabled": True}, OTHER, Reason.WRONG_SECRET),
    ],
)
async def test_the_log_is_told_why_it_is_really_refused(
    changes: dict[str, object], secret: str, reason: Reason
) -> None:
    """The reason is the end of the client only if the secret was right; else it is the secret."""
    assert (
        await refusal(authenticator_of(Clients(make_client(**changes))), secret)
    ).reason is reason


@pytest.mark.parametrize("changes", [{"expires_at": NOW}, {"disabled": True}])
async def test_a_client_that_was_prolonged_elsewhere_is_let_in_at_once(
    changes: dict[str, object],
) -> None:
    """The view's word is enough to accept; to refuse, the store is asked."""
    clients = Clients(make_client(**changes))
    clients.stored["svc-a"] = make_client()
    await authenticator_of(clients).authenticate(
        Evidence(basic=ClientPassword("svc-a", SECRET)), now=NOW
    )
    assert clients.fetches == 1


@pytest.mark.parametrize("kind", ["fast", "slow", "both"])
@pytest.mark.parametrize(
    "wrong", ["hunter2hunter3", "", "HUNTER2HUNTER2", SHORT + " ", SECRET[:-1], "\ud800"]
)
async def test_a_wrong_secret_is_refused_after_the_right_one_was_accepted(
    kind: str, wrong: str
) -> None:
    """What is remembered of a success must not let anything else in, in memory or in the store."""
    secrets = {
        "fast": (make_secret(SECRET),),
        "slow": (make_secret(SHORT),),
        "both": (make_secret(SECRET, secret_id="f"), make_secret(SHORT, secret_id="s")),
    }[kind]
    authenticator = authenticator_of(Clients(make_client(secrets=secrets)))
    right = SHORT if kind == "slow" else SECRET
    assert (await refusal(authenticator, wrong)).reason == Reason.WRONG_SECRET
    for secret in {right, SHORT if kind != "fast" else right}:
        await authenticate(authenticator, "svc-a", secret)

    assert (await refusal(authenticator, wrong)).reason == Reason.WRONG_SECRET


async def test_one_client_is_not_let_in_by_the_proven_secret_of_another() -> None:
    """The memory belongs to a secret of a client, not to the text of the secret."""
    clients = Clients(
        make_client("a", secrets=(make_secret(SHORT, secret_id="a"),)),
        make_client("b", secrets=(make_secret("other-short-one", secret_id="b"),)),
    )
    authenticator = authenticator_of(clients)
    for client_id, secret in (("a", SHORT), ("b", "other-short-one")):
        await authenticate(authenticator, client_id, secret)

    for client_id, secret in (("b", SHORT), ("a", "other-short-one")):
        with pytest.raises(InvalidClient):
            await authenticate(authenticator, client_id, secret)


@pytest.mark.parametrize("secret", [SECRET, SHORT], ids=["fast", "slow"])
async def test_a_secret_that_has_ended_is_named_so_to_the_log_alone(secret: str) -> None:
    """An operator looks for the end of a secret, not for a wrong one; no caller is told."""
    ended = make_secret(secret, secret_id="old", expires_at=NOW)
    live = make_secret("wws_" + "live-" * 8, secret_id="new")
    for secrets in ((ended,), (ended, live)):
        slow = SlowHere()
        authenticator = authenticator_of(Clients(make_client(secrets=secrets)), slow)
        right = await refusal(authenticator, secret)
        wrong = await refusal(authenticator, OTHER)
        assert (right.reason, wrong.reason) == (Reason.SECRET_EXPIRED, Reason.WRONG_SECRET)
        assert (right.description, right.headers) == (wrong.description, wrong.headers)
        assert slow.verified == 2 * (secret == SHORT)  # as much work for either


async def test_an_ended_secret_that_was_proven_authenticates_no_client() -> None:
    """What is remembered of it is for the log."""
    secrets = (make_secret(SHORT, secret_id="old", expires_at=NOW),)
    authenticator = authenticator_of(Clients(make_client(secrets=secrets)))
    await authenticate(authenticator, "svc-a", SHORT, NOW - 1)
    for _ in range(2):
        assert (await refusal(authenticator, SHORT)).reason == Reason.SECRET_EXPIRED


@pytest.mark.parametrize("secret", [SECRET, SHORT])
async def test_a_store_that_is_down_refuses_no_known_client(secret: str) -> None:
    """What was proven goes on working; any other client is told to try again, and no more."""
    clients = Clients(make_client(secrets=(make_secret(SECRET), make_secret(SHORT))))
    authenticator = authenticator_of(clients)
    await authenticate(authenticator, "svc-a", secret)
    clients.store_is_down = True
    await authenticate(authenticator, "svc-a", secret)
    for client_id, sent in (("svc-a", secret + "x"), ("nobody", secret)):
        with pytest.raises(TemporarilyUnavailable) as caught:
            await authenticate(authenticator, client_id, sent)
        assert caught.value.reason is Reason.STORE_UNAVAILABLE


@pytest.mark.parametrize("kind", ["deleted", "disabled", "expired", "revoked"])
@pytest.mark.parametrize("secret", [SECRET, SHORT])
async def test_who_was_let_in_is_refused_once_its_registration_ends(kind: str, secret: str) -> None:
    """A success is remembered of the hash alone: what else is registered is judged each time."""
    clients = Clients(make_client(secrets=(make_secret(secret),)))
    authenticator = authenticator_of(clients)
    await authenticate(authenticator, "svc-a", secret)
    secrets = clients.known["svc-a"].secrets
    ended = {
        "deleted": None,
        "disabled": make_client(secrets=secrets, disabled=True),
        "expired": make_client(secrets=secrets, expires_at=NOW),
        "revoked": make_client(secrets=()),
    }[kind]
    clients.known, clients.stored = ({"svc-a": ended} if ended else {} for _ in range(2))
    error = await refusal(authenticator, secret)
    reason, client_id = {
        "deleted": (Reason.UNKNOWN_CLIENT, None),
        "disabled": (Reason.CLIENT_DISABLED, "svc-a"),
        "expired": (Reason.CLIENT_EXPIRED, "svc-a"),
    }.get(kind, (Reason.WRONG_SECRET, "svc-a"))
    assert (error.reason, error.client_id) == (reason, client_id)


@pytest.mark.rfc("6749-2.3.1-4")
@pytest.mark.parametrize(
    "clients",
    [
        Clients(),
        Clients(make_client(secrets=())),
        Clients(make_client(secrets=(make_secret(OTHER),))),
        Clients(make_client(secrets=(make_secret(OTHER, expires_at=NOW),))),
        Clients(make_client(secrets=(make_secret(SHORT),))),
        Clients(without_secrets(AuthMethod.PRIVATE_KEY_JWT)),
    ],
    ids=["unknown", "without", "live", "ended", "slow", "other method"],
)
async def test_every_refusal_pays_the_same_fast_hashes(
    monkeypatch: pytest.MonkeyPatch, clients: Clients
) -> None:
    """One for what is remembered, one for the store's word, one for what has ended."""
    computed: list[bool] = []
    verify = SecretHash.verify

    def counted(self: SecretHash, secret: str) -> bool:
        computed.append(self.slow)
        return verify(self, secret)

    monkeypatch.setattr(SecretHash, "verify", counted)
    await refusal(authenticator_of(clients), "wws_" + "wrong-" * 7)
    assert computed.count(False) == 3
    assert computed.count(True) == clients.has_slow_secrets


class Noting(SlowHere):
    """Notes whose secrets are verified, and how many at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str | None, int]] = []

    async def find(
        self, hashes: Sequence[SecretHash], secret: str, *, client_id: str | None
    ) -> int | None:
        """Note, and verify."""
        assert all(each.slow for each in hashes)
        self.asked.append((client_id, len(hashes)))
        return await super().find(hashes, secret, client_id=client_id)


async def test_who_may_be_right_waits_apart_from_who_cannot_be() -> None:
    """Guesses at unknown ids, and at ended secrets, must not hold up a client's own."""
    texts = ("one-one", "two-two", OTHER)
    ended = [make_secret(text, secret_id=text, expires_at=NOW) for text in texts]
    clients = Clients(
        make_client(secrets=(make_secret(SHORT),)), make_client("b", secrets=tuple(ended))
    )
    slow = Noting()
    authenticator = authenticator_of(clients, slow)
    await authenticate(authenticator, "svc-a", SHORT)
    for client_id in ("b", "nobody"):
        with pytest.raises(InvalidClient):
            await authenticate(authenticator, client_id, SHORT)
    assert slow.asked == [("svc-a", 1), (None, 1), (None, 1)]
