"""Whatever happens to client, key, clock and statuses, a reused token is one that may be given."""

import asyncio
from dataclasses import replace

import jwt
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from issuer.registry.resource import TokenPolicy
from issuer.status.positions import Position, Status, StatusChange, new_jti, read_jti
from keys.signers.local import LocalSigner
from tests.support.issuer import API, NOW, Clients, TestIssuer, make_client
from tests.support.keys import public_rsa_jwk, rsa_key

SIGNERS = [LocalSigner(public_rsa_jwk(n).kid, "RS256", rsa_key(n)) for n in (0, 1)]
WINDOWS = st.sampled_from([None, 0, 10, 60])
LIVES = st.sampled_from([15, 60, 3600])
BUCKET = NOW // 1800 + 40  # later than any token of a run ends


class Numbered(TestIssuer):
    """An issuer whose tokens have an index each."""

    def _next_jti(self, position: Position | None) -> str:
        self._jti += 1
        return new_jti(Position(BUCKET, self._jti), bytes)


class Reuse(RuleBasedStateMachine):
    """One client that asks, while everything that a token rests on changes."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.issued: dict[str, int] = {}
        self.changes: list[StatusChange] = []
        self.revision = 1
        self.tier = 0

    def teardown(self) -> None:
        """Close what was opened."""
        self.loop.close()

    @initialize(of_client=WINDOWS, of_resource=WINDOWS, ttl=LIVES)
    def begin(self, of_client: int | None, of_resource: int | None, ttl: int) -> None:
        """Register the client."""
        windows = [each for each in (of_client, of_resource) if each is not None]
        self.window, self.ttl = min(windows, default=0), ttl
        policy = TokenPolicy(reuse_window=of_resource)
        client = make_client(reuse_window=of_client, token_ttl=ttl, policies={API: policy})
        self.issuer = Numbered(clients=Clients(client))
        self.issuer.keys.key = SIGNERS[0]
        self.apply()

    def apply(self) -> None:
        """Tell the issuer of the changes of statuses."""
        lists = self.issuer.statuses
        lists.apply(self.changes[-1:], self.issuer.now, counts={BUCKET: 1000})

    def register(self, **changes: object) -> None:
        """Change the client, as the view would show it."""
        self.revision += 1
        client = self.issuer.clients.known["svc-a"]
        registration = replace(client.registration, **changes)
        changed = replace(client, registration=registration, revision=self.revision)
        for place in (self.issuer.clients.known, self.issuer.clients.stored):
            place["svc-a"] = changed

    @rule(seconds=st.sampled_from([-5, 1, 4, 9, 30, 31, 600]))
    def wait(self, seconds: int) -> None:
        """Turn the clock."""
        self.issuer.now += seconds

    @rule(disabled=st.booleans())
    def disable(self, disabled: bool) -> None:
        """Disable or enable the client."""
        self.register(disabled=disabled)

    @rule()
    def set_claim(self) -> None:
        """Change what its tokens say."""
        self.tier += 1
        self.register(claims={"tier": self.tier})

    @rule()
    def read_again(self) -> None:
        """Have the view make another object of the same client."""
        known = self.issuer.clients.known
        known["svc-a"] = replace(known["svc-a"])

    @rule(number=st.sampled_from([0, 1]))
    def rotate(self, number: int) -> None:
        """Have another key sign."""
        self.issuer.keys.key = SIGNERS[number]

    @rule(status=st.sampled_from(Status), back=st.integers(0, 2))
    def change_status(self, status: Status, back: int) -> None:
        """Revoke, suspend or restore one of the latest tokens."""
        index = max(self.issuer._jti - back, 0)
        number = len(self.changes) + 1
        self.changes.append(StatusChange(number, BUCKET, index, 1, status))
        self.apply()

    @rule(scope=st.sampled_from([None, "read", "write", "read write"]), count=st.integers(1, 3))
    def ask(self, scope: str | None, count: int) -> None:
        """Ask for tokens, several at once, and check each."""
        form = {} if scope is None else {"scope": scope}
        asked = [self.issuer.ask(form) for _ in range(count)]
        answers = self.loop.run_until_complete(self._gather(asked))
        for answer in answers:
            if self.issuer.clients.known["svc-a"].registration.disabled:
                assert answer.status == 401
            else:
                self.check(answer, scope or "read write")

    @staticmethod
    async def _gather(asked: list[object]) -> list[object]:
        return await asyncio.gather(*asked)

    def check(self, answer: object, scope: str) -> None:
        """Compare a token with all that holds now."""
        assert answer.status == 200
        token, now = answer.json["access_token"], self.issuer.now
        number = SIGNERS.index(self.issuer.keys.key)  # it verifies with no other key
        options = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
        public = rsa_key(number).public_key()
        claims = jwt.decode(token, public, algorithms=["RS256"], options=options)
        is_new = claims["jti"] not in self.issued
        assert claims["scope"] == answer.json["scope"] == scope
        assert claims.get("tier", 0) == self.tier
        assert answer.json["expires_in"] == claims["exp"] - now
        assert self.issuer.statuses.status(read_jti(claims["jti"])) is Status.VALID
        if is_new:
            assert claims["iat"] == now
            self.issued[claims["jti"]] = self.revision
        else:
            same_turn = claims["iat"] == now
            assert self.window
            assert same_turn or 0 <= now - claims["iat"] < self.window
            assert same_turn or 2 * (claims["exp"] - now) > self.ttl
        assert self.issued[claims["jti"]] == self.revision

    @invariant()
    def memory_is_small(self) -> None:
        """There is one token at most for each thing that is asked for."""
        if hasattr(self, "issuer"):
            assert len(self.issuer.reused) <= 3


TestReuse = Reuse.TestCase
