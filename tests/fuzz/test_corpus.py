"""What fuzzing found worth keeping is tried again, without a fuzzer, within bounds."""

from pathlib import Path

import pytest

from fuzz.keeping import keep, kept_inputs
from fuzz.target import Finding, Target, measure_memory, try_input, try_within_bounds
from fuzz.targets import TARGETS

CORPUS = Path(__file__).resolve().parent.parent.parent / "fuzz" / "corpus"
MOST_BYTES = 1_000_000


@pytest.mark.parametrize("name", TARGETS)
def test_every_kept_input_gets_an_answer_of_the_parser_in_time(name: str) -> None:
    """Accepted or refused, by its own errors alone, and with little memory and processor time."""
    inputs = kept_inputs(CORPUS / name)
    assert inputs, "a target without a corpus"
    verdicts = set()
    for path in inputs:
        data = path.read_bytes()
        try:
            verdicts.add(try_within_bounds(TARGETS[name], data))
            measure_memory(TARGETS[name], data)
        except Finding as finding:
            pytest.fail(f"scripts/fuzz {name} --input {path}: {finding}")
    # A corpus of one kind of input alone would not reach what is behind the first check.
    assert verdicts == ({True, False} if TARGETS[name].refusals else {True})


def test_the_corpus_is_small_and_of_known_targets() -> None:
    """Nothing is kept for nothing, and a clone does not grow by what fuzzers find."""
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    for path in files:
        assert path.stat().st_size <= TARGETS[path.parent.name].length


def raises(error: Exception) -> Target:
    """Make a parser that raises."""

    def parse(data: bytes) -> None:
        raise error

    return Target(parse, (ValueError, KeyError))


def test_an_error_of_another_library_is_a_finding() -> None:
    """A `UnicodeDecodeError` holds the input, and is not the ValueError that a parser promised."""
    with pytest.raises(Finding, match="standard library"):
        try_input(raises(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")), b"")
    with pytest.raises(Finding, match="RuntimeError is no answer"):
        try_input(raises(RuntimeError("oh")), b"")
    assert try_input(raises(ValueError("not a number")), b"") is False


def test_an_answer_that_takes_too_long_or_too_much_is_a_finding() -> None:
    """Both bounds are looked at, and what is within them passes."""
    busy = Target(lambda data: sum(range(200_000)), (), seconds=1e-6)
    with pytest.raises(Finding, match="allowed"):
        try_within_bounds(busy, b"")
    large = Target(lambda data: bytes(len(data) << 20), (), megabytes=3)
    with pytest.raises(Finding, match="took 5 MB, at most 3 MB"):
        measure_memory(large, b"12345")
    measure_memory(large, b"1")


def test_an_input_is_kept_that_reaches_new_code_and_no_other(tmp_path: Path) -> None:
    """Of two that take the same way through the code, the shorter one."""
    found = tmp_path / "found"
    found.mkdir()
    for number, data in enumerate([b"YQ", b"YWFh", b"YQ=", b"YWE="]):
        (found / str(number)).write_bytes(data)
    kept = keep(TARGETS["base64url"], kept_inputs(found), tmp_path / "kept")
    assert [path.read_bytes() for path in kept] == [b"YQ", b"YQ="]
    assert keep(TARGETS["base64url"], kept_inputs(found), tmp_path / "kept") == []
