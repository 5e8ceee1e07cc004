"""Unit tests of `watchword.declared_secrets`."""

import os
import stat
from contextlib import suppress

import pytest

from issuer.registry.errors import (
    AccessRefused,
    DeclarationRefused,
    InvalidDocument,
    StoreUnavailable,
)
from tests.support.declaration import read
from tests.support.registry import SECRET
from watchword import declared_secrets
from watchword.declared_secrets import DeclaredSecrets, SecretFileError


def outcome(*sources):
    """Tell as a dry run does which secrets are still to be made."""
    made = {"kind": "secret", "client_id": "till", "generate": True}
    return {"changes": [{"kind": "client"}, *(made | {"source": each} for each in sources)]}


GENERATED = outcome("generate_to a.secret")


def of(folder, *references, **environment):
    """Make the secrets of one client from its references."""
    text = f"clients: [{{client_id: till, secrets: [{', '.join(references)}]}}]"
    return DeclaredSecrets(read(text, "yaml"), folder=folder, environment=environment)


def load(*arguments, **environment):
    """Read the secrets that are there."""
    found = of(*arguments, **environment)
    found.load()
    return found


def values(found):
    """Give the secrets that the references of the client have now."""
    return [each.value for each in found._clients[0].secrets]


def refused(*arguments, **environment):
    """Return what is wrong with the references."""
    with pytest.raises(InvalidDocument) as caught:
        load(*arguments, **environment)
    return [str(mistake) for mistake in caught.value.mistakes]


def is_secret(found, text):
    """Tell whether a secret is found at the first place."""
    return values(found)[0].reveal() == text


def test_a_secret_comes_from_the_environment(tmp_path):
    """Under the name that the file has for it."""
    assert is_secret(load(tmp_path, "{env: TILL}", TILL=SECRET), SECRET)


def test_white_space_around_a_variable_is_no_part_of_the_secret(tmp_path):
    """A secret that was pasted into a deployment often has a line end."""
    assert is_secret(load(tmp_path, "{env: TILL}", TILL=f" {SECRET}\n"), SECRET)


@pytest.mark.parametrize("start", ["", " ", "\n", "\ufeff"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n", " ", " \t\r\n"])
def test_a_secret_comes_from_a_file_less_what_is_around_it(tmp_path, start, end):
    """Editors and `echo` leave it behind; the path starts from the declaration's folder."""
    (tmp_path / "a.secret").write_bytes(f"{start}{SECRET}{end}".encode())
    assert is_secret(load(tmp_path, "{file: a.secret}"), SECRET)
    assert is_secret(load(tmp_path / "x", f"{{file: {tmp_path}/a.secret}}"), SECRET)


@pytest.mark.parametrize("inside", ["\n", "\t", "\0", "ö", "\ufeff"])
def test_what_no_secret_has_inside_is_refused(tmp_path, inside):
    """Two lines are no secret, nor is a file in another encoding."""
    (tmp_path / "a.secret").write_text(f"{SECRET}{inside}{SECRET}\n")
    assert "printable" in refused(tmp_path, "{file: a.secret}")[0]


def test_a_generated_secret_that_is_there_is_read(tmp_path):
    """After the first time it is as `file`."""
    (tmp_path / "a.secret").write_text(SECRET)
    assert is_secret(load(tmp_path, "{generate_to: a.secret}"), SECRET)


def test_a_generated_secret_that_is_not_there_is_left_open(tmp_path):
    """Only the registry knows whether it is needed."""
    found = load(tmp_path, "{generate_to: a.secret}")
    assert values(found) == [None]
    assert list(tmp_path.iterdir()) == []


def test_every_reference_that_leads_nowhere_is_named_with_its_client(tmp_path):
    """None hides another, and none shows what it read."""
    (tmp_path / "large").write_bytes(b"x" * 5000)
    (tmp_path / "short").write_bytes(b"hunter2")
    lines = refused(
        tmp_path,
        "{env: UNSET}",
        "{env: EMPTY}",
        "{file: none}",
        "{file: large}",
        "{file: short}",
        "{generate_to: no/folder}",
        EMPTY="",
    )
    assert lines == [
        "clients[0].secrets[0]: env UNSET of client till: it is not set",
        "clients[0].secrets[1]: env EMPTY of client till: it is empty",
        "clients[0].secrets[2]: file none of client till: it cannot be read: no such file or"
        " directory",
        "clients[0].secrets[3]: file large of client till: it is too large to be a secret",
        "clients[0].secrets[4]: file short of client till: a secret is 8 to 512 printable ASCII"
        " characters",
        f"clients[0].secrets[5]: generate_to no/folder of client till: there is no folder"
        f" {tmp_path}/no; make it first",
    ]


def test_one_secret_is_not_referred_to_twice(tmp_path):
    """Two references stand for two secrets."""
    lines = refused(tmp_path, "{env: A}", "{env: B}", A=SECRET, B=SECRET)
    assert lines == [
        "clients[0].secrets[1]: env B of client till: it is the same secret as another of the"
        " client"
    ]


def test_a_secret_is_generated_into_a_file_for_its_owner_alone(tmp_path):
    """With nothing beside it, and what is in the file is what the registry gets."""
    found = load(tmp_path, "{generate_to: a.secret}")
    with found.generated(GENERATED) as written:
        assert written == {tmp_path / "a.secret": "till"}
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert text.startswith("wws_")
    assert text.endswith("\n")
    assert is_secret(found, text[:-1])
    assert is_secret(load(tmp_path, "{generate_to: a.secret}"), text[:-1])


def test_nothing_is_written_where_nothing_is_needed(tmp_path):
    """The registry has not asked for any."""
    with load(tmp_path, "{generate_to: a.secret}").generated(outcome()) as written:
        assert written == {}
    assert list(tmp_path.iterdir()) == []


def test_a_refused_transaction_leaves_no_file(tmp_path):
    """Its secret would be good for nothing."""
    found = load(tmp_path, "{generate_to: a.secret}")
    with pytest.raises(DeclarationRefused), found.generated(GENERATED):
        raise DeclarationRefused(["no"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "end", [StoreUnavailable("gone"), AccessRefused("502"), KeyboardInterrupt()]
)
def test_a_transaction_that_may_have_counted_leaves_the_file(tmp_path, end):
    """The next run uses it."""
    found = load(tmp_path, "{generate_to: a.secret}")
    with pytest.raises(type(end)), found.generated(GENERATED):
        raise end
    assert (tmp_path / "a.secret").exists()


def test_a_secret_that_another_process_made_meanwhile_is_used(tmp_path):
    """No file is ever written over, nor removed by the command that did not make it."""
    found = load(tmp_path, "{generate_to: a.secret}")
    (tmp_path / "a.secret").write_text(SECRET)
    with suppress(DeclarationRefused), found.generated(GENERATED) as written:
        assert written == {}
        assert is_secret(found, SECRET)
        raise DeclarationRefused(["no"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.secret"]


def test_a_secret_that_cannot_be_written_takes_those_before_it_along(tmp_path, monkeypatch):
    """All or nothing, files included; the line says which and why."""
    found = load(tmp_path, "{generate_to: a.secret}", "{generate_to: b.secret}")
    fsync, calls = os.fsync, []

    def fail_later(descriptor):
        calls.append(descriptor)
        if len(calls) > 2:  # the first file and its folder
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(declared_secrets.os, "fsync", fail_later)
    both = outcome("generate_to a.secret", "generate_to b.secret")
    with pytest.raises(SecretFileError) as caught, found.generated(both):
        pytest.fail("not reached")
    assert str(caught.value) == (
        f"cannot write the secret to {tmp_path}/b.secret: no space left on device"
    )
    assert list(tmp_path.iterdir()) == []


def test_secrets_are_in_no_representation(tmp_path):
    """Neither the store of them nor what is made from them."""
    text = "clients: [{client_id: till, secrets: [{env: TILL}]}]"
    declaration = read(text, "yaml")
    found = DeclaredSecrets(declaration, folder=tmp_path, environment={"TILL": SECRET})
    found.load()
    assert values(found)[0].reveal() == SECRET
    assert SECRET not in repr(values(found)) + repr(found) + repr(declaration)
