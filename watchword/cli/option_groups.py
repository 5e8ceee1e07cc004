"""Let several commands share a group of options, declared once as the fields of a dataclass."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, get_type_hints


def with_options(group: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the fields of a dataclass as options, in the place of its `options`.

    Args:
        group: a dataclass whose fields all have a default and a type that typer understands.
    """
    hints = get_type_hints(group, include_extras=True)
    declared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hint
        )
        for field, hint in ((field, hints[field.name]) for field in fields(group))
        if field.default is not MISSING
    ]
    names = {parameter.name for parameter in declared}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())
        place = next(index for index, each in enumerate(own) if each.name == "options")

        def run(**given: Any) -> None:  # noqa: ANN401 - whatever was typed
            options = group(**{name: given.pop(name) for name in names})
            command(**given, options=options)

        parameters = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for each in (*own[:place], *declared, *own[place + 1 :])
        ]
        run.__doc__ = command.__doc__
        run.__name__ = command.__name__
        # typer reads both: the one for names and defaults, the other for types.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate
