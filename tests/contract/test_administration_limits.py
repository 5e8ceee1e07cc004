"""What is not done twice, and what is refused beyond the caller's authority, on every engine."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from issuer.administration.authority import Authority
from issuer.administration.declaration.document import SentDeclaration
from issuer.registry.audit import Actor, Via
from issuer.registry.errors import (
    BeyondAuthority,
    CallerNotActive,
    DuplicateClient,
    InvalidValue,
    KeyReused,
)
from issuer.storage.tables import idempotent_answers
from tests.support.declaration import declared, grant
from tests.support.keys import public_rsa_jwk
from tests.support.registry import NOW, RESOURCE, SECRET, TESTER

ADMINISTRATION = "https://auth.example/admin/api/v1"
READ, WRITE, SECRETS = "clients:read", "clients:write", "secrets:write"
A_DAY = 86_400


@pytest.fixture
def hold(administer, operations):
    """Return a function that gives the operations of a client that holds some of the scopes."""
    operations.create_resource({"resource": ADMINISTRATION, "scopes": [READ, WRITE, SECRETS]})
    everything = {"client_id": "caller", "grants": grants(READ, WRITE, SECRETS)}
    operations.create_client(everything, idempotency_key="caller")

    def give(*scopes, needed=()):
        authority = Authority(
            administration=ADMINISTRATION,
            scopes=frozenset(scopes),
            needed=frozenset(needed),
            issued_at=NOW,
        )
        return administer(
            Actor(name="caller", via=Via.API),
            authority=authority,
            kept_resources=(ADMINISTRATION,),
        )

    return give


def till(**members):
    """Write a client's document."""
    return {"client_id": "till"} | members


def declaration(*clients):
    """Write a declaration for its journey."""
    return SentDeclaration(clients=clients)


# ---- retries ----


def test_a_retry_gets_the_first_answer_without_the_secret(operations, registry):
    """And nothing is done again."""
    first = operations.create_client(till(), idempotency_key="k")
    again = operations.create_client(till(), idempotency_key="k")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.revision == first.revision
    secret = first.document.pop("client_secret")
    assert again.document == first.document
    assert secret not in str(again.document)
    assert len(operations.list_secrets("till")) == 1


def test_a_retry_of_a_secret_adds_no_second_one(operations):
    """A second secret would be one that is known to no client."""
    operations.create_client(till())
    first = operations.add_secret("till", {}, idempotency_key="k")
    again = operations.add_secret("till", {}, idempotency_key="k")
    assert first.document.pop("client_secret")
    assert again.document == first.document
    assert len(operations.list_secrets("till")) == 2


def test_a_retry_of_a_registration_token_makes_no_second_one(operations):
    """Nor shows the token again."""
    document = {"grants": [{"resource": RESOURCE, "scope": "read"}]}
    first = operations.create_registration_token(document, idempotency_key="k")
    again = operations.create_registration_token(document, idempotency_key="k")
    assert first.document.pop("token")
    assert again.document == first.document
    assert len(operations.list_registration_tokens()) == 1


def test_retries_at_the_same_time_are_one(operations, registry):
    """A retry may overtake the first answer."""
    operations.create_client(till())
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: operations.add_secret("till", {}, idempotency_key="k"), range(8))
        )
    assert sum(not answer.replayed for answer in answers) == 1
    assert sum("client_secret" in answer.document for answer in answers) == 1
    assert len({answer.document["secret_id"] for answer in answers}) == 1


def test_a_key_is_for_one_request(operations):
    """Another one under the same key is refused; another secret is another request."""
    operations.create_client(till(client_secret=SECRET), idempotency_key="k")
    for document in (
        {"client_id": "other"},
        till(client_secret=SECRET, client_name="x"),
        till(client_secret=SECRET + "x"),
        till(),
    ):
        with pytest.raises(KeyReused):
            operations.create_client(document, idempotency_key="k")
    with pytest.raises(KeyReused):
        operations.add_secret("till", {}, idempotency_key="k")
    assert len(operations.list_secrets("till")) == 1


def test_the_same_secret_under_the_same_key_is_a_retry(operations):
    """The hash in the registry tells; once the secret is revoked, that cannot be told."""
    document = till(client_secret=SECRET)
    first = operations.create_client(document, idempotency_key="k")
    assert operations.create_client(document, idempotency_key="k").replayed
    operations.revoke_secret("till", first.document["secret_id"])
    assert operations.create_client(document, idempotency_key="k").replayed
    operations.delete_client("till")
    assert operations.create_client(document, idempotency_key="k").replayed


def test_what_was_refused_may_be_asked_again_under_the_same_key(operations):
    """Only answers are kept."""
    operations.create_client(till())
    with pytest.raises(DuplicateClient):
        operations.create_client(till(), idempotency_key="k")
    operations.delete_client("till")
    assert "client_secret" in operations.create_client(till(), idempotency_key="k").document


def test_keys_of_two_callers_never_meet(operations, administer):
    """A caller cannot read another's answer by guessing a key."""
    operations.create_client(till(), idempotency_key="k")
    other = administer(Actor(name=TESTER.name, via=Via.API))
    with pytest.raises(DuplicateClient):
        other.create_client(till(), idempotency_key="k")


def test_an_answer_is_kept_for_a_day(operations, registry, clock):
    """Then the key is new, and what was kept is gone."""
    operations.create_client(till())
    operations.add_secret("till", {}, idempotency_key="old")
    clock.now += A_DAY
    assert "client_secret" in operations.add_secret("till", {}, idempotency_key="new").document
    count = select(func.count()).select_from(idempotent_answers)
    assert registry.registry._database.read(lambda each: each.execute(count).scalar_one()) == 1
    assert "client_secret" in operations.add_secret("till", {}, idempotency_key="old").document


def test_nothing_that_is_kept_tells_a_secret_or_a_key(operations, registry):
    """Not even by a hash of a secret that could be guessed."""
    weak = "pa55word"
    operations.create_client(till(client_secret=weak), idempotency_key="my-key")
    rows = registry.registry._database.read(
        lambda each: each.execute(select(idempotent_answers)).all()
    )
    operations.delete_client("till")
    operations.create_client(till(client_secret="other-one"), idempotency_key="my-other-key")
    (first, second) = registry.registry._database.read(
        lambda each: each.execute(
            select(idempotent_answers).order_by(
                idempotent_answers.c.answer["revision"].as_integer()
            )
        ).all()
    )
    assert weak not in str(rows)
    assert "my-key" not in str(rows)
    assert first.fingerprint == second.fingerprint


def test_a_key_is_visible_ascii(operations):
    """What else comes is a mistake of the caller's."""
    for key in ("", "a b", "é", "x" * 256, "a\n"):
        with pytest.raises(InvalidValue):
            operations.create_client(till(), idempotency_key=key)


# ---- authority ----


def grants(*scopes):
    """Write grants on the administration."""
    return [{"resource": ADMINISTRATION, "scope": " ".join(scopes)}]


def test_no_caller_makes_a_client_that_may_do_more(hold, operations):
    """The caller could act as it at once."""
    with pytest.raises(BeyondAuthority):
        hold(WRITE).create_client(till(grants=grants(WRITE, READ)))
    with pytest.raises(BeyondAuthority):
        hold(WRITE).create_client(till(resources=[ADMINISTRATION], all_scopes=True))
    assert [each["client_id"] for each in operations.list_clients().items] == ["caller"]
    assert operations.list_audit(target="till").items == []
    hold(WRITE, READ).create_client(till(grants=grants(WRITE, READ)))


def test_no_caller_takes_over_a_client_that_may_do_more(hold, operations):
    """By its keys, its secrets, its state or its grants."""
    first = operations.create_client(till(grants=grants(READ, SECRETS)))
    before = operations.show_client("till")
    caller = hold(WRITE, SECRETS)
    for attempt in (
        lambda: caller.update_client("till", {"client_name": "x"}),
        lambda: caller.update_client("till", {"disabled": True}),
        lambda: caller.update_client("till", {"grants": []}),
        lambda: caller.update_client(
            "till",
            {
                "token_endpoint_auth_method": "private_key_jwt",
                "jwks": {"keys": [public_rsa_jwk().members()]},
            },
        ),
        lambda: caller.delete_client("till"),
        lambda: caller.add_secret("till", {"client_secret": SECRET}),
        lambda: caller.revoke_secret("till", first.document["secret_id"]),
        lambda: caller.apply(declaration(), prune=True),
        lambda: caller.apply(declaration(), prune=True, dry_run=True),
        lambda: caller.apply(declaration(declared("till", grant("read")))),
        lambda: caller.apply(declaration(declared("till", grant("read"))), dry_run=True),
        lambda: caller.update_resource(ADMINISTRATION, {"scopes": [WRITE]}, withdraw=True),
        lambda: caller.update_resource(ADMINISTRATION, {"token_ttl": 1}),
    ):
        with pytest.raises(BeyondAuthority):
            attempt()
    assert operations.show_client("till") == before
    hold(READ, SECRETS).add_secret("till", {})


def test_no_caller_lets_others_register_with_more_than_it_holds(hold, operations):
    """Nor takes such a token away."""
    with pytest.raises(BeyondAuthority):
        hold(WRITE).create_registration_token({"grants": grants(READ)})
    made = operations.create_registration_token({"grants": grants(READ)})
    with pytest.raises(BeyondAuthority):
        hold(WRITE).revoke_registration_token(made.document["token_id"])
    hold(READ).revoke_registration_token(made.document["token_id"])


def test_clients_of_other_apis_are_open_to_every_caller_that_may_write(hold, operations):
    """Authority is about the administration alone."""
    caller = hold(WRITE)
    created = caller.create_client(till())
    caller.update_client("till", {"scope": "read"})
    caller.revoke_secret("till", created.document["secret_id"])
    (entry,) = operations.list_audit(limit=1).items
    assert (entry["actor"], entry["via"]) == ("caller", "api")


# ---- the caller's account ----


def disable(operations, clock):
    """Disable the caller."""
    operations.update_client("caller", {"disabled": True})


def delete(operations, clock):
    """Delete the caller."""
    operations.delete_client("caller")


def let_end(operations, clock):
    """Let the caller's registration end."""
    operations.update_client("caller", {"expires_at": "2001-09-09T01:46:41Z"})
    clock.now = NOW + A_DAY


def make_anew(operations, clock):
    """Delete the caller, and register another client under its name."""
    clock.now += 1
    operations.delete_client("caller")
    operations.create_client({"client_id": "caller", "grants": grants(READ, WRITE, SECRETS)})


def attempts(caller):
    """List every kind of thing that a caller may try."""
    return (
        lambda: caller.update_client("caller", {"disabled": False}),
        lambda: caller.create_client(till(), idempotency_key="k"),
        lambda: caller.delete_client("other"),
        lambda: caller.add_secret("other", {}),
        lambda: caller.add_secret("nobody", {}),
        lambda: caller.create_resource({"resource": "urn:new", "scopes": ["x"]}),
        lambda: caller.delete_resource("urn:nothing"),
        lambda: caller.create_registration_token({"grants": grants(READ)}),
        lambda: caller.revoke_registration_token("nothing"),
        lambda: caller.apply(declaration()),
        lambda: caller.apply(declaration(), dry_run=True),
        caller.list_clients,
        lambda: caller.show_client("other"),
        lambda: caller.list_secrets("other"),
        caller.list_resources,
        lambda: caller.show_resource(RESOURCE),
        caller.list_audit,
        caller.list_registration_tokens,
    )


@pytest.mark.parametrize("end", [disable, delete, let_end, make_anew])
def test_a_caller_whose_account_has_ended_does_and_reads_nothing(hold, operations, clock, end):
    """Whatever its token still says: not even a retry is answered."""
    operations.create_client({"client_id": "other"})
    caller = hold(READ, WRITE, SECRETS)
    caller.create_client(till(), idempotency_key="k")
    end(operations, clock)
    before = operations.list_clients().items, len(operations.list_audit().items)
    for attempt in attempts(caller):
        with pytest.raises(CallerNotActive):
            attempt()
    assert before == (operations.list_clients().items, len(operations.list_audit().items))


def test_a_caller_whose_grants_were_withdrawn_does_and_reads_nothing(hold, operations):
    """Its next token would not have them either."""
    caller = hold(READ, WRITE, SECRETS, needed=(WRITE,))
    caller.create_client(till(), idempotency_key="k")
    operations.update_client("caller", {"grants": grants(READ)})
    for attempt in attempts(caller):
        with pytest.raises(BeyondAuthority, match=WRITE):
            attempt()
    # Nor does it hand out what it has no more, by an operation that it may still do.
    with pytest.raises(BeyondAuthority):
        hold(READ, WRITE, SECRETS).create_client({"client_id": "x", "grants": grants(WRITE)})


def test_a_caller_may_end_its_own_account(hold, operations):
    """Once: the change counts, and nothing that comes after it."""
    caller = hold(READ, WRITE, SECRETS)
    caller.update_client("caller", {"disabled": True})
    with pytest.raises(CallerNotActive):
        caller.update_client("caller", {"disabled": False})
    assert operations.show_client("caller").document["disabled"]


def test_a_rehearsal_within_authority_tells_what_would_be_done(hold, operations):
    """Every kind of step is judged, and none refused that the caller may take."""
    operations.create_client({"client_id": "old"})
    operations.create_resource({"resource": "urn:old", "scopes": ["x"]})
    caller = hold(READ, WRITE, SECRETS)
    wanted = declaration(declared("till", grant("read")))
    told = caller.apply(wanted, prune=True, dry_run=True)
    assert not told["applied"]
    assert operations.list_audit(target="till").items == []
    assert caller.apply(wanted, prune=True)["applied"]
