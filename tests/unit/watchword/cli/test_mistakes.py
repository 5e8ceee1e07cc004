"""All mistakes of a command line at once."""

import pytest

from issuer.registry.client import ClientRegistration
from issuer.registry.errors import InvalidDocument, InvalidValue
from issuer.registry.mistakes import Mistake
from watchword.cli.client_options import LABELS, ClientOptions, labels_of
from watchword.cli.output import Mistakes, WrongUsage
from watchword.settings import SettingsError


def test_mistakes_are_told_in_their_order_each_once():
    """Two ways to find the same mistake are one line."""
    mistakes = Mistakes()
    with mistakes.of("--a"):
        raise ValueError("must be less")
    with mistakes.of("ID"):
        raise InvalidValue("is too long")
    mistakes.add("--a: must be less")
    with mistakes.gathered():
        raise SettingsError(["WATCHWORD_PORT: no", "WATCHWORD_HOST: no"])
    with mistakes.gathered():
        raise WrongUsage("set WATCHWORD_CLIENT_ID")
    with pytest.raises(WrongUsage) as refusal:
        mistakes.refuse()
    assert refusal.value.lines == (
        "--a: must be less",
        "ID: is too long",
        "WATCHWORD_PORT: no",
        "WATCHWORD_HOST: no",
        "set WATCHWORD_CLIENT_ID",
    )


def test_no_mistake_refuses_nothing():
    """And other errors are not mistakes of the command line."""
    mistakes = Mistakes()
    mistakes.exclude("--a", [("--b", None), ("--c", False)])
    mistakes.refuse()
    with pytest.raises(LookupError), mistakes.of("--a"):
        raise LookupError
    assert not mistakes


def test_options_that_exclude_each_other_are_named():
    """Given is what has a value, an empty list of texts included."""
    mistakes = Mistakes()
    mistakes.exclude("--a", [("--b", [""]), ("--c", True)])
    with pytest.raises(WrongUsage, match="--a: not together with --b; --a: not together with --c"):
        mistakes.refuse()


def lines_of(mistakes):
    """Return what a command with these mistakes says."""
    with pytest.raises(WrongUsage) as refusal:
        mistakes.refuse()
    return refusal.value.lines


def test_what_the_schema_refuses_names_the_option_that_was_typed():
    """All of it; what does not fit together only if nothing else is wrong."""
    labels = {"client_id": "ID", "token_ttl": "--token-ttl"}
    wrong = {"client_id": "a b", "token_ttl": 0, "token_endpoint_auth_method": "private_key_jwt"}
    mistakes = Mistakes(labels)
    mistakes.check(ClientRegistration, wrong)
    told = lines_of(mistakes)
    assert [line.partition(":")[0] for line in told] == ["ID", "--token-ttl"]
    right = {"client_id": "a", "token_endpoint_auth_method": "private_key_jwt"}
    mistakes = Mistakes(labels)
    mistakes.check(ClientRegistration, right)
    assert lines_of(mistakes) == ("private_key_jwt needs one of jwks, jwks_uri",)
    mistakes = Mistakes(labels)
    mistakes.add("--jwks: no such file")
    mistakes.check(ClientRegistration, right)
    assert lines_of(mistakes) == ("--jwks: no such file",)


@pytest.mark.parametrize(
    ("method", "line"),
    [
        ("private_key_jwt", "private_key_jwt needs one of --jwks, --jwks-uri"),
        ("tls_client_auth", "tls_client_auth needs one of --tls-subject"),
    ],
)
def test_what_is_said_of_several_members_names_their_options(method, line):
    """Each once, though several members have the same one."""
    mistakes = Mistakes(LABELS)
    mistakes.check(ClientRegistration, {"client_id": "a", "token_endpoint_auth_method": method})
    assert lines_of(mistakes) == (line,)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"claims": {"x": ""}}, "--federated-claim: the claim 'x' must be text"),
        ({"audience": "https://c.example"}, "--federated: audience is the issuer's own"),
        ({"subject": "a*"}, "--federated: is compared as it is"),
        ({"issuer": "ftp://c.example"}, "--federated-issuer: must be an absolute URL"),
        ({"jwks_uri": "x"}, "--federated-keys: jwks_uri"),
    ],
)
def test_a_part_of_an_identity_names_the_option_that_makes_it(changes, line):
    """It was never typed as an attribute."""
    options = ClientOptions(federated=("oidc", "a"))
    identity = {"issuer": "https://c.example", "subject": "a"} | changes
    document = {"client_id": "a", "token_endpoint_auth_method": "federated"}
    mistakes = Mistakes(labels_of(options))
    mistakes.check(ClientRegistration, {**document, "federated_identities": [identity]})
    (told,) = lines_of(mistakes)
    assert told.startswith(line)
    mistakes = Mistakes(labels_of(ClientOptions()))
    mistakes.check(ClientRegistration, {**document, "federated_identities": [identity]})
    assert lines_of(mistakes)[0].startswith("--federated-identity: ")


def test_of_a_part_of_a_document_only_its_members_are_checked():
    """What a patch leaves out is not missing, and what it fits is not known yet."""
    mistakes = Mistakes()
    mistakes.check(
        ClientRegistration, {"token_ttl": 60, "jwks_uri": "https://a.example/"}, part=True
    )
    assert not mistakes
    mistakes.check(ClientRegistration, {"token_ttl": 0}, part=True)
    assert lines_of(mistakes) == ("token_ttl: must be at least 1",)


def test_what_the_registry_refuses_names_the_option_that_was_typed():
    """A member without an option keeps its name in the document, and so does one within it."""
    found = [
        Mistake(("grants", 0, "scope"), "is no scope"),
        Mistake(("new",), "is not known here"),
        Mistake((), "too much"),
    ]
    with pytest.raises(WrongUsage) as refusal, Mistakes({"grants": "--grant"}).labelled():
        raise InvalidDocument(found)
    told = ("--grant: scope: is no scope", "new: is not known here", "too much")
    assert refusal.value.lines == told
    with pytest.raises(InvalidDocument), Mistakes().labelled():
        raise InvalidDocument(found)
