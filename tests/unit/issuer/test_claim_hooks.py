"""Unit tests of claim hooks: what they may add to a token, and what becomes of their faults."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest

from issuer.access_token import MAXIMUM_HOOK_BYTES, ClaimHook, build_claims
from issuer.errors import ClaimHookFailed, Reason
from issuer.grants.authorization import Authorization
from issuer.registry.claims import CLOSED_CLAIMS
from tests.support.issuer import API, ISSUER, NOW, Clients, TestIssuer, make_client

PLAIN = Authorization(
    subject="svc-a", client_id="svc-a", resource=API, scopes=("read", "write"), token_ttl=60
)
ROOM = MAXIMUM_HOOK_BYTES - len('{"a": ""}')


def claims_with(*hooks: Callable[[Authorization], object], **changes: object) -> dict[str, object]:
    """Build the claims of a token with hooks, which are called h0, h1 and so on."""
    named = [ClaimHook(f"h{number}", run) for number, run in enumerate(hooks)]
    return build_claims(
        PLAIN._replace(**changes),
        issuer=ISSUER,
        now=NOW,
        jti="j",
        constants={"tier": "basic"},
        hooks=named,
    )


def problem_with(given: object) -> str | None:
    """Return what is wrong with what a hook gives."""
    with pytest.raises(ClaimHookFailed) as failure:
        claims_with(lambda _: given)
    assert (failure.value.reason, failure.value.hook) == (Reason.CLAIM_HOOK_FAILED, "h0")
    return failure.value.problem


def test_hooks_add_claims_after_all_others():
    """Each sees what was authorized; an operator's claim stands beside the issuer's."""
    claims = claims_with(
        lambda authorization: {"tenant": authorization.client_id},
        lambda authorization: MappingProxyType({"region": "eu", "roles": ["a", None, 1.5]}),
        lambda authorization: {},
    )
    assert (claims["iss"], claims["scope"], claims["tier"]) == (ISSUER, "read write", "basic")
    added = [("tenant", "svc-a"), ("region", "eu"), ("roles", ["a", None, 1.5])]
    assert list(claims.items())[-3:] == added


@pytest.mark.parametrize("name", sorted(CLOSED_CLAIMS))
def test_a_hook_writes_no_claim_that_resource_servers_decide_by(name):
    """Also none that this token lacks: a hook cannot make it look like a token of a user."""
    assert problem_with({"a": 1, name: "x"}) == (
        f"the claim {name} has a meaning of its own; choose another name"
    )


def test_a_hook_replaces_no_claim_of_another():
    """Neither that of a hook before it nor a constant one; which came first decides nothing."""
    with pytest.raises(ClaimHookFailed) as failure:
        claims_with(lambda _: {"tenant": "a"}, lambda _: {"tenant": "a"})
    assert failure.value.hook == "h1"
    assert failure.value.problem == "the token has the claim tenant already"
    assert problem_with({"tier": "gold"}) == "the token has the claim tier already"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (None, "it gave 'NoneType' and no mapping"),
        ([("a", 1)], "it gave 'list' and no mapping"),
        ("a", "it gave 'str' and no mapping"),
        ({1: "a"}, "the name of a claim is a string"),
        ({"a\nb": 1}, "the name of a claim is 1 to 255 printable characters"),
        ({"a": float("nan")}, "what it gave is not JSON"),
        ({"a": b"x"}, "what it gave is not JSON"),
        ({"a": {1: 2}}, "what it gave is not JSON"),
        ({"a": {1, 2}}, "what it gave is not JSON"),
        ({"a": "\ud800"}, "what it gave is not JSON"),
        ({"a": 2**64}, "what it gave has a number of more than 64 bits"),
        ({"a": "x" * (ROOM + 1)}, "what it gave has more than 4096 bytes"),
    ],
)
def test_what_cannot_be_claims_is_refused(given, problem):
    """A token has its claims or is not issued."""
    assert problem_with(given) == problem


def test_a_hook_may_add_4_kilobytes():
    """That is half of what a token may have in all."""
    assert claims_with(lambda _: {"a": "x" * ROOM})["a"] == "x" * ROOM


def test_what_a_coroutine_function_gives_is_no_mapping():
    """The settings refuse one; one that hides behind a plain function is found here."""

    async def late() -> dict[str, object]:
        return {"tenant": "a"}

    given = late()
    assert problem_with(given) == "it gave 'coroutine' and no mapping"
    given.close()


class Broken(Mapping):
    """A mapping that fails when it is read."""

    def __getitem__(self, key: str) -> object:
        """Fail."""
        raise RuntimeError("the operator's fault")

    def __iter__(self):
        """Give one key."""
        return iter(["a"])

    def __len__(self) -> int:
        """Count it."""
        return 1


def raising(error: BaseException) -> Callable[[Authorization], object]:
    """Make a hook that raises."""

    def hook(authorization: Authorization) -> object:
        raise error

    return hook


@pytest.mark.parametrize(
    "hook",
    [
        raising(RuntimeError("x")),
        raising(SystemExit(3)),
        raising(asyncio.CancelledError()),
        raising(ClaimHookFailed("other", "x", client_id="b")),
        lambda _: sys.exit(),
        lambda _: Broken(),
        lambda authorization: authorization.nothing,
    ],
)
def test_a_hook_that_raises_leaves_no_token(hook):
    """Whatever it raises: its name is known, and the error itself is the cause."""
    with pytest.raises(ClaimHookFailed) as failure:
        claims_with(hook)
    assert (failure.value.hook, failure.value.problem) == ("h0", None)
    assert failure.value.__cause__ is not None


def test_an_interrupt_in_a_hook_is_an_interrupt():
    """It is for the process."""
    with pytest.raises(KeyboardInterrupt):
        claims_with(raising(KeyboardInterrupt()))


def test_a_hook_changes_nothing_of_what_was_authorized():
    """It has a copy: what a resource server decides by is closed in every way."""

    def meddle(authorization: Authorization) -> dict[str, object]:
        authorization.confirmation["jkt"] = "another"
        authorization.authorization_details[0]["limit"] = 1000
        return {}

    details = ({"type": "payment", "limit": 1},)
    claims = claims_with(
        meddle,
        lambda authorization: {"key": authorization.confirmation["jkt"]},
        confirmation={"jkt": "t"},
        authorization_details=details,
    )
    assert (claims["cnf"], claims["key"]) == ({"jkt": "t"}, "t")
    assert claims["authorization_details"] == ({"type": "payment", "limit": 1},)


@pytest.mark.parametrize(
    ("hook", "logged"),
    [
        (raising(RuntimeError("a secret")), {"problem": None, "exception": "RuntimeError"}),
        (
            lambda _: {"scope": "admin"},
            {
                "problem": "the claim scope has a meaning of its own; choose another name",
                "exception": None,
            },
        ),
    ],
)
async def test_the_log_names_the_hook_that_failed(hook, logged):
    """500 `server_error` without a word more; nothing counts as used, and nothing is reused."""
    issuer = TestIssuer(clients=Clients(make_client(reuse_window=60)))
    issuer.hooks = [ClaimHook("shop.claims:tenant", hook)]
    answer = await issuer.ask()
    assert (answer.status, json.loads(answer.body)) == (500, {"error": "server_error"})
    ((event, fields),) = issuer.events
    exception = fields.pop("exception")
    assert event == "token.refused"
    assert {**fields, "exception": type(exception).__name__ if exception else None} == {
        "reason": Reason.CLAIM_HOOK_FAILED,
        "client_id": "svc-a",
        "asked": None,
        "grant_type": "client_credentials",
        "auth_method": "client_secret_basic",
        "hook": "shop.claims:tenant",
        **logged,
    }
    assert not issuer.usage.take()
    assert len(issuer.reused) == 0


async def test_a_token_that_is_too_long_is_not_issued():
    """Two hooks together may add more than any API takes."""
    issuer = TestIssuer()
    issuer.hooks = [ClaimHook(name, lambda _, name=name: {name: "x" * 4000}) for name in "ab"]
    answer = await issuer.ask()
    assert (answer.status, issuer.events[0][1]["reason"]) == (500, Reason.TOKEN_TOO_LONG)
