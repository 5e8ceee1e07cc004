"""Claim hooks: functions of the operator's, named in the settings and imported when `serve` starts.

Other commands check the names alone: a hook that cannot be imported must not keep an operator from
withdrawing a key.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator

from watchword.setting_values import split_names

if TYPE_CHECKING:
    from issuer.access_token import ClaimHook
    from issuer.events import EventSink
    from issuer.grants.authorization import Authorization

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_LONGEST_REASON = 200

SLOW_SECONDS = 0.05
"""What a hook may take before the log says so: no other request is answered meanwhile."""

_loading: ContextVar[bool] = ContextVar("loading", default=False)


@contextmanager
def loading_hooks(wanted: bool) -> Iterator[None]:
    """Have the check of the setting import what it names, or only look at the names."""
    token = _loading.set(wanted)
    try:
        yield
    finally:
        _loading.reset(token)


def _check_hooks(text: str) -> str:
    names = split_names(text)
    mistakes = [
        f"{name!a} must be package.module:attribute" for name in names if not _NAME.fullmatch(name)
    ]
    mistakes += [f"{name!a} is named twice" for name in sorted(set(names)) if names.count(name) > 1]
    if _loading.get():
        mistakes += [
            why for name in dict.fromkeys(names) if _NAME.fullmatch(name) and (why := _fault(name))
        ]
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return text


ClaimHooks = Annotated[str, AfterValidator(_check_hooks)]


def _fault(name: str) -> str | None:
    try:
        found = _find(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # `sys.exit` in a module too
        reason = f"{type(error).__name__}: {error}".split("\n", 1)[0][:_LONGEST_REASON]
        return (
            f"{name} cannot be imported: {ascii(reason)[1:-1]}; install it beside watchword, or set"
            " PYTHONPATH"
        )
    if not callable(found):
        return f"{name} is no function; name one that takes what was authorized"
    for each in (found, type(found).__call__):
        if inspect.iscoroutinefunction(each) or inspect.isgeneratorfunction(each):
            return f"{name} must be a plain function: hooks cannot wait; remove async or yield"
        if inspect.isasyncgenfunction(each):
            return f"{name} must be a plain function: hooks cannot wait; remove async and yield"
    try:
        inspect.signature(found).bind(object())
    except (TypeError, ValueError):
        return f"{name} must take one argument, what was authorized"
    return None


def _find(name: str) -> Any:  # noqa: ANN401 - anything may be there
    module, _, path = name.partition(":")
    found: Any = import_module(module)
    for attribute in path.split("."):
        found = getattr(found, attribute)
    return found


def find_hooks(names: str | None, events: "EventSink") -> "tuple[ClaimHook, ...]":
    """Return the hooks that a setting names, which has been checked.

    Args:
        names: with commas between; None for no hook.
        events: is told, once, of each hook that holds up the event loop.
    """
    from issuer.access_token import ClaimHook

    return tuple(
        ClaimHook(name, _watched(name, _find(name), events)) for name in split_names(names or "")
    )


def _watched(
    name: str, run: "Callable[[Authorization], object]", events: "EventSink"
) -> "Callable[[Authorization], object]":
    told = False

    def run_watched(authorization: "Authorization") -> object:
        nonlocal told
        begun = perf_counter()
        given = run(authorization)
        seconds = perf_counter() - begun
        if seconds > SLOW_SECONDS and not told:
            told = True
            events("claim_hook.slow", hook=name, milliseconds=round(seconds * 1000))
        return given

    return run_watched
