"""Sealed key texts: who opens them, what is refused, and what it costs."""

from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from keys.errors import KeyStoreError
from keys.stores import sealed
from keys.stores.sealed import Sealer, is_sealed
from tests.support.keys import key_file

PASSPHRASE = b"correct horse"
NAME = "a-kid.pem"


def numbered_bytes() -> Callable[[int], bytes]:
    """Return a source of bytes that never repeats."""
    numbers = count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


@cache
def sealer() -> Sealer:
    """Return one whose key is made."""
    made = Sealer(PASSPHRASE, random_bytes=numbered_bytes())
    made.seal(NAME, b"")
    return made


def opened(content: bytes, name: str = NAME, by: Sealer | None = None) -> bytes:
    """Open a text."""
    return (by or sealer()).open(name, content, where=f"the database/{name}")


def refusal(content: bytes, name: str = NAME, by: Sealer | None = None) -> str:
    """Open a text that must not open, and return what is said."""
    with pytest.raises(KeyStoreError) as caught:
        opened(content, name, by)
    assert "\n" not in str(caught.value)
    assert "the database/" in str(caught.value)
    return str(caught.value)


def test_a_text_opens_for_whoever_has_the_passphrase_and_shows_nothing_of_itself():
    """Another process knows nothing but the passphrase: the text says the rest."""
    content = sealer().seal(NAME, key_file())
    other = Sealer(PASSPHRASE, random_bytes=numbered_bytes())
    assert opened(content, by=other) == key_file()
    assert b"Watchword-Key" not in content
    assert b"PRIVATE KEY" not in content
    assert content.startswith(b"watchword-sealed 1 scrypt n=32768,r=8,p=3 ")
    assert is_sealed(content)
    assert not is_sealed(key_file())


def test_no_two_texts_are_alike():
    """Equal texts under one key have nonces of their own."""
    first, second = (sealer().seal(NAME, b"text") for _ in range(2))
    assert first != second
    assert first[-20:] != second[-20:]


def test_a_wrong_passphrase_is_refused_in_one_line_without_it():
    """The line names the setting; neither passphrase is in it."""
    other = Sealer(b"wrong horse", random_bytes=numbered_bytes())
    said = refusal(sealer().seal(NAME, b"text"), by=other)
    assert "WATCHWORD_KEY_PASSPHRASE" in said
    assert "horse" not in said + repr(other)


def test_texts_cannot_be_swapped():
    """A text in the row of another key is refused, though it is genuine."""
    assert "altered" in refusal(sealer().seal(NAME, b"text"), "another-kid.pem")


@pytest.mark.parametrize("length", [0, 1, 40, 100, 130, -1, -16, -17])
def test_a_text_that_was_cut_short_is_refused(length: int):
    """Wherever it was cut."""
    content = sealer().seal(NAME, b"text" * 10)
    refusal(content[:length])


@pytest.mark.parametrize(
    ("was", "forged"),
    [
        (b" 1 ", b" 2 "),
        (b"scrypt", b"pbkdf2"),
        (b"n=32768", b"n=16384"),
        (b"n=32768", b"n=98304"),
        (b"n=32768", b"n=262144"),
        (b"n=32768", b"n=1048576"),
        (b"n=32768", b"n=032768"),
        (b"r=8", b"r=1024"),
        (b"p=3", b"p=0"),
        (b"p=3", b"p=5"),
        (b"p=3", b"p=1000000"),
    ],
)
def test_a_forged_cost_makes_nobody_compute(monkeypatch, was: bytes, forged: bytes):
    """Before anything is computed: no minutes, no gigabytes, no cheap key either."""
    content = sealer().seal(NAME, b"text").replace(was, forged, 1)
    monkeypatch.delattr(sealed, "Scrypt")
    assert "newer version" in refusal(content)


def test_the_highest_cost_that_is_computed_is_bounded():
    """A later version may ask for four times the memory; a forged text gains no more than that."""
    content = sealer().seal(NAME, b"text").replace(b"n=32768,r=8,p=3", b"n=131072,r=8,p=1", 1)
    assert "altered" in refusal(content)


def test_twenty_texts_cost_one_derivation(monkeypatch):
    """Those that were written by one process, or by another that had read them, have one salt."""
    made: list[int] = []

    def counted(**cost: Any) -> Scrypt:
        made.append(cost["n"])
        return Scrypt(**cost)

    contents = [sealer().seal(NAME, b"%d" % n) for n in range(20)]
    monkeypatch.setattr(sealed, "Scrypt", counted)
    reader = Sealer(PASSPHRASE, random_bytes=numbered_bytes())
    assert [opened(each, by=reader) for each in contents] == [b"%d" % n for n in range(20)]
    assert opened(reader.seal(NAME, b"next")) == b"next"
    assert made == [2**15]


def test_keys_of_forged_salts_are_not_kept_for_ever(monkeypatch):
    """Each costs one derivation, and the eight latest stay."""
    monkeypatch.setattr(sealed, "Scrypt", _Quick)
    reader = Sealer(PASSPHRASE, random_bytes=numbered_bytes())
    head = b"watchword-sealed 1 scrypt n=32768,r=8,p=3 %032x %024x\n"
    for salt in range(20):
        refusal(head % (salt, 1) + b"x" * 20, by=reader)
    assert len(reader._keys) == 8


class _Quick:
    """Scrypt without its cost."""

    def __init__(self, *, salt: bytes, **_cost: int) -> None:
        self._salt = salt

    def derive(self, key_material: bytes) -> bytes:
        return self._salt * 2
