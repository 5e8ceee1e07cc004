"""Say what is wrong with settings, a line for each mistake, without the value of a secret."""

import os
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from pydantic_core import ErrorDetails

from watchword.setting_sources import PREFIX, is_of_service

_OTHER_VARIABLES = frozenset({"WATCHWORD_PYTHON"})
"""Variables with our prefix that are no settings: this one is for the scripts of a checkout."""


def label(name: str, flags: Mapping[str, object]) -> str:
    """Name a setting as it was given: by its flag, or by its variable."""
    return f"--{name.replace('_', '-')}" if name in flags else f"{PREFIX}{name.upper()}"


def explain(detail: ErrorDetails, flags: Mapping[str, object], names: Collection[str]) -> list[str]:
    """Return the lines for one finding of pydantic.

    Args:
        detail: the finding.
        flags: the settings that were given as flags.
        names: of all settings.
    """
    from issuer.registry.mistakes import words_of

    name = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return [_explain_unknown(name, names)]
    words = words_of(detail) or detail["msg"].removeprefix("Value error, ")
    return [f"{label(name, flags)}: {name_settings(line)}" for line in words.split("\n")]


def name_settings(words: str) -> str:
    """Name the setting where a rule of a package names its argument, which is called alike."""
    return words.replace("allow_insecure_http", f"{PREFIX}ALLOW_INSECURE_HTTP")


def unknown_variables(names: Collection[str]) -> Iterator[str]:
    """Yield a line for each variable of the environment that looks like a setting and is none."""
    environment = os.environ  # noqa: TID251 - settings are read from the environment
    known = {f"{PREFIX}{name.upper()}" for name in names} | _OTHER_VARIABLES
    for name, value in environment.items():
        is_ours = name.upper().startswith(PREFIX) and bool(value)  # an empty one is as if unset
        if is_ours and name.upper() not in known and not is_of_service(name):
            yield _explain_unknown(name, names)


def _explain_unknown(name: str, names: Collection[str]) -> str:
    """Say so, with the setting that was probably meant, spelt as this name is."""
    prefix = PREFIX if name.upper().startswith(PREFIX) else ""
    word = name.upper().removeprefix(PREFIX).lower()
    close = get_close_matches(word, names, n=1)
    if not close:
        return f"{name}: unknown setting; see the settings reference for the names"
    meant = prefix + (close[0].upper() if prefix else close[0])
    return f"{name}: unknown setting; did you mean {meant}?"
