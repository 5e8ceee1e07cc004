"""`issuer.administration.http.problems`: errors as problem details, and back (RFC 9457)."""

from collections.abc import Iterator

import pytest

from issuer.administration.http.problems import (
    HTTP_KINDS,
    INTERNAL,
    KINDS,
    UNAVAILABLE,
    kind_of,
    read_problem,
    write_problem,
    write_refusal,
)
from issuer.registry.errors import (
    AccessRefused,
    BeyondAuthority,
    DeclarationRefused,
    InvalidDocument,
    InvalidSecretHash,
    InvalidValue,
    IssuerMismatch,
    KeyReused,
    RegistryError,
    RegistryNotEmpty,
    StoreUnavailable,
    UnknownClient,
    UnknownResource,
)
from issuer.registry.mistakes import Mistake

NOT_OF_THE_API = {
    RegistryError,  # only its children are raised
    InvalidSecretHash,  # not a mistake of the caller: 500
    AccessRefused,  # made on the side of the command
    IssuerMismatch,  # found when the registry is opened
    RegistryNotEmpty,  # of a restore
}


def all_below(kind: type[RegistryError]) -> Iterator[type[RegistryError]]:
    """Yield a type of error and all that are derived from it, of the issuer's own."""
    if kind.__module__.startswith("issuer."):
        yield kind
    for child in kind.__subclasses__():
        yield from all_below(child)


def test_every_refusal_of_the_registry_is_a_problem() -> None:
    """A new error must not come out as the server's failure."""
    assert set(all_below(RegistryError)) - NOT_OF_THE_API == set(KINDS)


def test_types_are_stable_names_that_mean_one_thing() -> None:
    """RFC 9457 §3.1.1: the type is what a program goes by."""
    kinds = [*dict.fromkeys(KINDS.values()), *HTTP_KINDS]
    assert len({kind.type for kind in kinds}) == len(kinds)
    assert all(kind.type == f"urn:watchword:problem:{kind.code}" for kind in kinds)
    assert UNAVAILABLE.reason == "unavailable"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind] != UNAVAILABLE])
def test_a_refusal_that_travels_says_the_same_at_the_other_end(kind: type[RegistryError]) -> None:
    """The command line says one line, whether the registry is here or there."""
    listed: dict[type[RegistryError], RegistryError] = {
        InvalidDocument: InvalidDocument(
            [Mistake(("grants", 0, "scope"), "is missing"), Mistake((), "no é/~ %")]
        ),
        DeclarationRefused: DeclarationRefused(["one", "two"]),
    }
    error = listed.get(kind) or kind("it cannot be: till")
    arrived = read_problem(write_refusal(error, kind_of(error)))
    assert type(arrived) is kind
    assert str(arrived) == str(error)


def test_mistakes_keep_their_places() -> None:
    """RFC 6901 §6: the pointer travels as a URI fragment."""
    mistake = Mistake(("a/b", "~", 0, "é"), "no")
    document = write_refusal(InvalidDocument([mistake]), KINDS[InvalidDocument])
    assert document["errors"] == [{"pointer": "#/a~1b/~0/0/%C3%A9", "detail": "no"}]
    arrived = read_problem(document)
    assert isinstance(arrived, InvalidDocument)
    assert arrived.mistakes == (mistake,)
    assert str(arrived) == r"'a/b'.'~'[0].'\xe9': no"


def test_what_the_path_names_is_not_found_and_what_the_document_names_is_a_mistake() -> None:
    """A client that names a resource which does not exist is not itself missing."""
    missing = UnknownResource("no such resource: urn:a")
    assert kind_of(missing, (UnknownResource,)).status == 404
    assert kind_of(missing, (UnknownClient,)).status == 422
    assert kind_of(missing).code == "unknown-resource"


def test_where_the_database_is_is_not_told() -> None:
    """Its address is for the operator's log."""
    error = StoreUnavailable("the registry database postgresql://db.internal cannot be reached")
    document = write_refusal(error, kind_of(error))
    assert "db.internal" not in str(document)
    assert type(read_problem(document)) is StoreUnavailable


def test_an_unforeseen_error_is_the_servers() -> None:
    """Its text stays there."""
    assert kind_of(InvalidSecretHash("damaged")) == INTERNAL


def test_a_problem_of_an_unknown_kind_is_still_a_refusal() -> None:
    """A newer server may have more kinds."""
    arrived = read_problem({"type": "urn:watchword:problem:new", "detail": "because"})
    assert (type(arrived), str(arrived)) == (RegistryError, "because")
    assert str(read_problem({})) == "the server gives no reason"


def test_a_servers_text_does_nothing_to_a_terminal() -> None:
    """It is shown, not obeyed."""
    hostile = "\x1b[2Jgone\nwatchword: done"
    for document in (
        {"type": KINDS[UnknownClient].type, "detail": hostile},
        {"type": KINDS[InvalidDocument].type, "errors": [{"pointer": "#/x", "detail": hostile}]},
        {"type": KINDS[InvalidDocument].type, "detail": hostile, "errors": "none"},
        {"type": KINDS[DeclarationRefused].type, "errors": [{"detail": hostile}, 5]},
        {"type": KINDS[DeclarationRefused].type, "detail": hostile},
    ):
        assert str(read_problem(document)).isprintable()


def test_a_problem_is_bounded_whatever_was_sent() -> None:
    """An answer stays small."""
    fields = [("/" + "x" * 5000, "no")] * 500
    document = write_problem(KINDS[InvalidValue], "no", fields)
    assert len(document["errors"]) == 100
    assert len(document["errors"][0]["pointer"]) < 300
    assert KINDS[KeyReused].status == 422
    assert KINDS[BeyondAuthority].status == 403
