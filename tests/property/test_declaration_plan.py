"""Whatever is declared and whatever there is: the plan leads there, by legal steps, once."""

from contextlib import closing
from dataclasses import fields
from secrets import token_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from issuer.administration.declaration.apply import apply_declaration, preview_declaration
from issuer.administration.declaration.document import SentClient, SentDeclaration, SentSecret
from issuer.administration.declaration.plan import ApplyOptions
from issuer.registry.client import ClientRegistration
from issuer.registry.client_description import facts_of_client
from issuer.registry.credentials import NewSecret
from issuer.registry.errors import DeclarationRefused
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import Resource, facts_of_resource
from issuer.storage.registry import Registry
from tests.support.registry import NOW, TESTER, fast_hash

SECRETS = [f"secret number {number} of enough characters" for number in range(4)]
KEPT = "urn:r0"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Give a registry that every example finds as empty as the first one did."""
    path = tmp_path_factory.mktemp("registry") / "registry.db"
    with closing(Registry.open(f"sqlite:///{path}", now=lambda: NOW)) as opened:
        yield opened


class Undo(Exception):
    """Ends a transaction without a trace."""


def some(values, min_size=0):
    """Draw some of the values, each once, in any order."""
    numbers = st.lists(st.sampled_from(range(len(values))), unique=True, min_size=min_size)
    return numbers.map(lambda chosen: tuple(values[number] for number in chosen))


CLAIMS = st.sampled_from([{}, {"level": 1}, {"level": True}])
"""In JSON 1 and true are two values."""


@st.composite
def resources(draw):
    """Draw resources with scopes from a small stock, so that the same ones come again."""
    return tuple(
        Resource(
            resource=identifier,
            scopes=draw(some(["a", "b", "c"], min_size=1)),
            token_ttl=draw(st.sampled_from([None, 60])),
            claims=draw(CLAIMS),
        )
        for identifier in draw(some(["urn:r0", "urn:r1", "urn:r2"]))
    )


@st.composite
def registrations(draw, known):
    """Draw clients with grants on the resources that are known."""
    found = []
    for client_id in draw(some(["c0", "c1", "c2"])):
        grants = []
        for resource in draw(some(known)) if known else ():
            scopes = draw(some(resource.scopes, min_size=1))
            defaults = draw(st.none() | some(scopes, min_size=1))
            grants.append(
                ResourcePermission(
                    resource=resource.resource, scopes=scopes, default_scopes=defaults
                )
            )
        found.append(
            ClientRegistration(
                client_id=client_id,
                grants=tuple(grants),
                disabled=draw(st.booleans()),
                metadata=draw(st.sampled_from([{}, {"x": 1}])),
                claims=draw(CLAIMS),
            )
        )
    return tuple(found)


SECRET_CHOICES = st.tuples(some(range(4)), st.sampled_from([None, NOW - 1, NOW + 60]))


@st.composite
def registered(draw):
    """Draw what is in the registry: resources, clients, and the secrets of each."""
    there = draw(resources())
    clients = draw(registrations(there))
    return there, [(client, draw(SECRET_CHOICES)) for client in clients]


@st.composite
def declarations(draw):
    """Draw a declaration that is right in itself."""
    wanted = draw(resources())
    clients = []
    for registration in draw(registrations(wanted)):
        numbers, end = draw(SECRET_CHOICES)
        secrets = tuple(
            SentSecret(source=f"env S{number}", client_secret=SECRETS[number], expires_at=end)
            for number in numbers
        )
        managed = draw(st.booleans())
        members = {each.name: getattr(registration, each.name) for each in fields(registration)}
        clients.append(SentClient(**members, secrets=secrets if managed else None))
    return SentDeclaration(resources=wanted, clients=tuple(clients))


def put(edit, there):
    """Fill the registry."""
    present, clients = there
    for resource in present:
        edit.create_resource(resource)
    for registration, (numbers, end) in clients:
        hashes = [fast_hash(SECRETS[number], salt=bytes([64 + number]) * 16) for number in numbers]
        edit.create_client(registration, [NewSecret(hash=each, expires_at=end) for each in hashes])


def live_secrets(edit, client_id):
    """Tell which of the secrets a client can use, and until when."""
    return {
        (number, secret.expires_at)
        for secret in edit.find_client(client_id).secrets
        for number, text in enumerate(SECRETS)
        if not secret.has_ended(NOW) and secret.hash.verify(text)
    }


def names(edit):
    """Name all that is there."""
    clients = {client.client_id for client in edit.list_clients()}
    return clients, {each.resource.resource for each in edit.list_resources()}


def check(edit, wanted, reach, before):
    """Check that what is declared is so, and what is not is as it was or gone."""
    for resource in wanted.resources:
        kept = edit.find_resource(resource.resource).resource
        assert facts_of_resource(kept) == facts_of_resource(resource)
    for client in wanted.clients:
        client_id = client.registration.client_id
        kept = edit.find_client(client_id).registration
        assert facts_of_client(kept) == facts_of_client(client.registration)
        if client.secrets is not None:
            live = live_secrets(edit, client_id)
            declared = {
                (SECRETS.index(each.client_secret), each.expires_at)
                for each in client.secrets
                if each.expires_at is None or each.expires_at > NOW
            }
            numbers = {number for number, _ in live}
            assert {number for number, _ in declared} <= numbers
            assert {each for each in declared if each[1] is not None} <= live
            assert not reach.prune or numbers == {number for number, _ in declared}
    clients = {each.registration.client_id for each in wanted.clients}
    identifiers = {each.resource for each in wanted.resources}
    if reach.prune:
        assert names(edit) == (clients, identifiers | (before[1] & reach.kept_resources))
    else:
        assert names(edit) == (clients | before[0], identifiers | before[1])


@settings(max_examples=30)  # each makes and leaves a whole registry
@given(there=registered(), wanted=declarations(), prune=st.booleans())
def test_a_plan_leads_where_it_should_and_only_once(registry, there, wanted, prune):
    """Every step is taken by the real registry; a second plan has no step."""
    reach = ApplyOptions(prune=prune, kept_resources=frozenset({KEPT}))

    def work(edit):
        put(edit, there)
        before = names(edit)
        try:
            first = preview_declaration(edit, wanted, reach, now=NOW)
        except DeclarationRefused:
            # Only somebody who is not named can stand in the way, and pruning leaves nobody.
            assert not prune
            raise Undo from None
        assert apply_declaration(edit, wanted, reach, random_bytes=token_bytes).plan == first.plan
        check(edit, wanted, reach, before)
        again = preview_declaration(edit, wanted, reach, now=NOW)
        assert again.plan.steps == ()
        raise Undo

    with pytest.raises(Undo):
        registry.change(work, by=TESTER)
    assert registry.read(lambda reading: reading.list_clients()) == []
