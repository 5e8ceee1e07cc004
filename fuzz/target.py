"""One parser under test: what it is given, what it may answer, and what must hold of its answer."""

import resource
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

from issuer.errors import OAuthError
from resource_api.errors import ResourceError

Check = Callable[[bytes, Any], None]


class Finding(AssertionError):
    """A parser did with an input what it must not do."""


def _holds(data: bytes, value: object) -> None:
    """Ask for nothing beyond that the parser answered."""


class Target(NamedTuple):
    """A parser, and what to hold it to.

    Args:
        parse: reads an input, and returns what it means.
        refusals: what `parse` may raise. A `ValueError` is meant exactly: a subclass of it is an
            error of another library that nobody has translated.
        check: what must hold of an input and its meaning; it may raise nothing.
        words: pieces that inputs are made of.
        length: bytes of the longest input.
        seconds: of processor time for one input.
        megabytes: that one input may take.
    """

    parse: Callable[[bytes], Any]
    refusals: tuple[type[Exception], ...]
    check: Check = _holds
    words: tuple[str, ...] = ()
    length: int = 2048
    seconds: float = 1.0
    megabytes: int = 32


def demand(condition: object, rule: str) -> None:
    """Find a breach of a rule.

    Raises:
        Finding: the rule does not hold.
    """
    if not condition:
        raise Finding(rule)


def try_input(target: Target, data: bytes) -> bool:
    """Give an input to a parser; tell whether it was accepted.

    Raises:
        Finding: it answered with something that is no answer of its own, or broke a rule.
    """
    try:
        value = target.parse(data)
    except target.refusals as error:
        _check_refusal(error)
        return False
    except Finding:
        raise
    except Exception as error:
        raise Finding(f"{type(error).__name__} is no answer of this parser: {error}") from error
    target.check(data, value)
    return True


def try_within_bounds(target: Target, data: bytes, *, slower: float = 1.0) -> bool:
    """Do as `try_input`, and hold the parser to its bounds on time and memory.

    It costs two microseconds, so that a fuzzer can do it for each input. Where a bound seems to be
    broken, the input is tried again: the first one of a kind may load a module.

    Args:
        target: the parser.
        data: the input.
        slower: by how much the processor time may be longer, where code is instrumented.

    Raises:
        Finding: also if the input took more than it may.
    """
    before, most = _most_kilobytes(), target.seconds * slower
    accepted, seconds = _timed(target, data)
    if seconds > most and (seconds := _timed(target, data)[1]) > most:
        raise Finding(f"took {seconds:.1f} s, at most {most:.1f} s are allowed")
    if _most_kilobytes() - before > target.megabytes * 1024:
        measure_memory(target, data)
    return accepted


def measure_memory(target: Target, data: bytes) -> None:
    """Do as `try_input`, and count every object that is made meanwhile.

    Raises:
        Finding: also if they took more memory than they may.
    """
    tracemalloc.start()
    try:
        try_input(target, data)
        peak = tracemalloc.get_traced_memory()[1] >> 20
    finally:
        tracemalloc.stop()
    if peak > target.megabytes:
        raise Finding(f"took {peak} MB, at most {target.megabytes} MB are allowed")


def _timed(target: Target, data: bytes) -> tuple[bool, float]:
    began = time.thread_time()
    return try_input(target, data), time.thread_time() - began


def _most_kilobytes() -> int:
    """Return the most memory that this process ever had: it shows what one input added to it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _check_refusal(error: Exception) -> None:
    """Hold a refusal to what every refusal promises.

    Raises:
        Finding: it is an error of another library, or says what cannot be sent.
    """
    # Those of codecs and of JSON are ValueErrors too, and hold the whole input.
    kind = type(error)
    if kind is not ValueError and kind.__module__ in ("builtins", "json.decoder"):
        raise Finding(f"{kind.__name__} is an error of the standard library") from error
    said = error.description if isinstance(error, OAuthError | ResourceError) else ""
    # RFC 6749 §5.2, RFC 6750 §3: the characters of `error_description`.
    if said and (not said.isascii() or not said.isprintable() or set('"\\') & set(said)):
        raise Finding(f"the description cannot be sent: {said!a}")
