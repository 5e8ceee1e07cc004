"""Unit tests of `issuer.administration.authority`: what a caller may do, and hand out."""

from dataclasses import replace

import pytest

from issuer.administration.authority import Authority, check_authority, settle_authority
from issuer.registry.audit import Action, AuditEntry
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.errors import BeyondAuthority, CallerNotActive
from issuer.registry.permission import ResourcePermission
from issuer.registry.schema import Json, write
from tests.support.registry import NOW, TESTER

ADMINISTRATION = "https://auth.example/admin/api/v1"
READ, WRITE, AUDIT = "clients:read", "clients:write", "audit:read"
HELD = Authority(administration=ADMINISTRATION, scopes=frozenset({READ, WRITE}), issued_at=NOW)


def client(*scopes: str, resource: str = ADMINISTRATION) -> Json:
    """Describe a client with these scopes."""
    grants = (ResourcePermission(resource=resource, scopes=scopes),) if scopes else ()
    return write(ClientRegistration(client_id="till", grants=grants))


def entry(
    action: Action, before: Json | None, after: Json | None, target: str = "till"
) -> AuditEntry:
    """Make an entry of the trail."""
    return AuditEntry(
        at=NOW, actor=TESTER, action=action, target=target, before=before, after=after
    )


def no_client(client_id: str) -> Client | None:
    """Find no client."""
    return None


def finder(*scopes: str) -> object:
    """Return a function that finds a client with these scopes."""

    def find(client_id: str) -> Client:
        return Client(
            registration=ClientRegistration(
                client_id=client_id,
                grants=(ResourcePermission(resource=ADMINISTRATION, scopes=scopes),),
            ),
            policies={},
            secrets=(),
            created_at=NOW,
            updated_at=NOW,
            revision=1,
        )

    return find


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        (Action.CLIENT_CREATED, None, client(READ, WRITE)),
        (Action.CLIENT_CREATED, None, client()),
        (Action.CLIENT_CREATED, None, client(AUDIT, resource="https://orders.example")),
        (Action.CLIENT_UPDATED, client(READ), client(WRITE)),
        (Action.CLIENT_DELETED, client(READ), None),
        (Action.RESOURCE_UPDATED, {"scopes": [AUDIT]}, {"scopes": [READ]}),
        (Action.REGISTRATION_TOKEN_CREATED, None, {"grants": client(READ)["grants"]}),
        (Action.SECRET_REVOKED, {"secret_id": "1"}, None),
    ],
)
def test_what_one_holds_and_what_is_not_the_administrations_may_be_moved(
    action: Action, before: Json | None, after: Json | None
) -> None:
    """The same scope on another resource is another permission."""
    check_authority(HELD, [entry(action, before, after)], no_client)


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        (Action.CLIENT_CREATED, None, client(READ, AUDIT)),
        (Action.CLIENT_UPDATED, client(READ), client(READ, AUDIT)),
        (Action.CLIENT_UPDATED, client(AUDIT), client(READ)),
        (Action.CLIENT_UPDATED, client(AUDIT), client(AUDIT)),
        (Action.CLIENT_ENABLED, client(AUDIT), client(AUDIT)),
        (Action.CLIENT_DISABLED, client(AUDIT), client(AUDIT)),
        (Action.CLIENT_DELETED, client(AUDIT), None),
        (Action.REGISTRATION_TOKEN_CREATED, None, {"grants": client(AUDIT)["grants"]}),
        (Action.REGISTRATION_TOKEN_REVOKED, {"grants": client(AUDIT)["grants"]}, None),
    ],
)
def test_more_than_one_holds_may_be_neither_given_nor_touched(
    action: Action, before: Json | None, after: Json | None
) -> None:
    """Otherwise the caller could give that client a key or a secret, and act as it."""
    with pytest.raises(BeyondAuthority, match=f"till has .* do not hold: {AUDIT}$"):
        check_authority(HELD, [entry(action, before, after)], no_client)


@pytest.mark.parametrize("action", [Action.SECRET_ADDED, Action.SECRET_REVOKED])
def test_a_secret_is_as_good_as_its_client(action: Action) -> None:
    """A caller that adds a secret to a client can act as that client."""
    changed = entry(action, None, {"secret_id": "1"})
    check_authority(HELD, [changed], finder(READ))  # type: ignore[arg-type]
    with pytest.raises(BeyondAuthority):
        check_authority(HELD, [changed], finder(READ, AUDIT))  # type: ignore[arg-type]


def test_the_administrations_own_resource_is_for_who_holds_all_of_it() -> None:
    """Its lifetimes and bindings are open to every caller that may write resources."""
    changed = entry(
        Action.RESOURCE_UPDATED, {"scopes": [READ, AUDIT]}, {"scopes": [READ]}, ADMINISTRATION
    )
    with pytest.raises(BeyondAuthority):
        check_authority(HELD, [changed], no_client)
    created = entry(Action.RESOURCE_CREATED, None, {"scopes": [READ]}, ADMINISTRATION)
    check_authority(HELD, [created], no_client)


def test_one_change_too_many_spoils_all_of_them() -> None:
    """A declaration is carried out whole or not at all."""
    good = entry(Action.CLIENT_CREATED, None, client(READ))
    bad = entry(Action.CLIENT_CREATED, None, client(AUDIT))
    with pytest.raises(BeyondAuthority):
        check_authority(HELD, [good, bad], no_client)


@pytest.mark.parametrize("action", list(Action))
def test_every_action_is_judged(action: Action) -> None:
    """None passes because nothing was said of it, on whichever document it leaves."""
    target = ADMINISTRATION if action.value.startswith("resource.") else "till"
    held = {"scopes": [AUDIT], "grants": client(AUDIT)["grants"], "administrators": ["till"]}
    changed = entry(action, held, held, target)
    told = f"{AUDIT}|watchword:keys:write|by their own commands only"
    with pytest.raises(BeyondAuthority, match=told):
        check_authority(HELD, [changed], finder(AUDIT))  # type: ignore[arg-type]


def test_tokens_of_a_client_that_is_gone_are_anybodys_to_revoke() -> None:
    """It holds nothing any more; an entry that does not say whose tokens they are is refused."""
    changed = entry(Action.TOKEN_REVOKED, None, {"tokens": 1, "administrators": ["till"]})
    check_authority(HELD, [changed], no_client)
    with pytest.raises(KeyError):
        check_authority(HELD, [entry(Action.TOKEN_REVOKED, None, {"tokens": 1})], no_client)


def test_an_action_that_is_not_listed_is_refused() -> None:
    """An action that is added later passes no check that does not know it."""
    unlisted = "client.renamed"
    with pytest.raises(AssertionError, match=r"unreachable, but got: 'client\.renamed'"):
        check_authority(HELD, [entry(unlisted, None, None)], no_client)  # type: ignore[arg-type]


def caller(*scopes: str, created_at: int = NOW, **members: object) -> Client:
    """Make the client of a token."""
    return Client(
        registration=ClientRegistration(
            client_id="ops",
            grants=(ResourcePermission(resource=ADMINISTRATION, scopes=scopes),) if scopes else (),
            **members,  # type: ignore[arg-type]
        ),
        policies={},
        secrets=(),
        created_at=created_at,
        updated_at=NOW,
        revision=1,
    )


def test_a_caller_holds_what_both_the_token_and_the_client_have() -> None:
    """What was granted since is for the next token; what was withdrawn is gone at once."""
    assert settle_authority(HELD, caller(READ, WRITE, AUDIT), NOW) == HELD
    assert settle_authority(HELD, caller(READ, AUDIT), NOW).scopes == {READ}
    assert settle_authority(HELD, caller(), NOW).scopes == set()


def test_what_an_operation_takes_must_still_be_granted() -> None:
    """Whatever it changes, if it changes anything."""
    writing = replace(HELD, needed=frozenset({WRITE}))
    assert settle_authority(writing, caller(WRITE), NOW).scopes == {WRITE}
    for withdrawn in (caller(READ), caller()):
        with pytest.raises(BeyondAuthority, match=f"takes: {WRITE}$"):
            settle_authority(writing, withdrawn, NOW)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, "deleted, disabled or has ended"),
        (caller(READ, WRITE, disabled=True), "deleted, disabled or has ended"),
        (caller(READ, WRITE, expires_at=NOW), "deleted, disabled or has ended"),
        (caller(READ, WRITE, created_at=NOW + 1), "older than its client"),
    ],
    ids=["deleted", "disabled", "ended", "made anew"],
)
def test_a_client_that_gets_no_token_does_nothing_with_an_old_one(
    found: Client | None, told: str
) -> None:
    """One that was made anew under the same name is another client."""
    with pytest.raises(CallerNotActive, match=told):
        settle_authority(HELD, found, NOW)


def test_all_that_is_missing_is_named_in_order() -> None:
    """A caller that has to ask for scopes is told all of them."""
    created = entry(Action.CLIENT_CREATED, None, client("b:write", READ, "a:read"))
    with pytest.raises(BeyondAuthority, match=r"^till .*: a:read b:write$"):
        check_authority(HELD, [created], no_client)
    for _ in range(2):
        check_authority(HELD, [entry(Action.CLIENT_CREATED, None, client(READ))], no_client)
        with pytest.raises(BeyondAuthority):
            check_authority(HELD, [created], no_client)
