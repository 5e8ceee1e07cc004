"""Lay out rows as a table for people: within the width of the terminal, and no id is ever cut."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Literal, NamedTuple
from unicodedata import combining, east_asian_width

_GAP = 2


class Column(NamedTuple):
    """A column of a table.

    Args:
        name: its header.
        kind: `words` may go on in a further line, between two of them; `time` is RFC 3339, and
            shown by its distance from now; what is `plain` stays whole.
        wide: it is shown only if all columns are asked for.
    """

    name: str
    kind: Literal["plain", "words", "time"] = "plain"
    wide: bool = False


def lay_out(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None
) -> list[str]:
    """Return the lines of a table, the header first.

    Where not even columns of words one word wide would fit, each row is a list of names and
    values instead, without a header.

    Args:
        columns: the columns that are shown.
        rows: the texts of each row, without line ends.
        width: of the terminal; None for lines of any length.
    """
    natural = [
        max([_cells(column.name), *(_cells(row[place]) for row in rows)])
        for place, column in enumerate(columns)
    ]
    least = [
        max([_cells(column.name), *(_longest_word(row[place]) for row in rows)])
        if column.kind == "words"
        else natural[place]
        for place, column in enumerate(columns)
    ]
    gaps = _GAP * (len(columns) - 1)
    if width is None or sum(natural) + gaps <= width:
        return [_line(row, natural) for row in ([each.name for each in columns], *rows)]
    if sum(least) + gaps > width:
        return [line for row in rows for line in (*_record(columns, row, width), "")][:-1]
    widths = _narrowed(natural, least, width - gaps)
    head = _line([each.name for each in columns], widths)
    return [head, *(line for row in rows for line in _folded(row, widths))]


def lay_out_fields(fields: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    """Return a line for each name and value; a longer value goes on in further lines."""
    indent = max((_cells(name) for name, _ in fields), default=0) + _GAP
    lines = []
    for name, value in fields:
        first, *others = _wrapped(value, None if width is None else width - indent)
        lines.append(name + " " * (indent - _cells(name)) + first)
        lines += [" " * indent + other for other in others]
    return [line.rstrip() for line in lines]


def _record(columns: Sequence[Column], row: Sequence[str], width: int) -> list[str]:
    named = [(column.name, value) for column, value in zip(columns, row, strict=True) if value]
    return lay_out_fields(named, width)


def _folded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = [_wrapped(value, size) for value, size in zip(row, widths, strict=True)]
    height = max(map(len, cells))
    padded = [[*cell, *[""] * (height - len(cell))] for cell in cells]
    return [_line(line, widths) for line in zip(*padded, strict=True)]


def _narrowed(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Narrow the widest column that can be, again and again, until all fit."""
    widths = list(natural)
    while sum(widths) > room:
        place = max(
            (each for each, size in enumerate(widths) if size > least[each]),
            key=widths.__getitem__,
        )
        widths[place] -= 1
    return widths


def _wrapped(text: str, width: int | None) -> list[str]:
    if width is None or _cells(text) <= width:
        return [text]
    return wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False) or [""]


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    padded = (text + " " * (size - _cells(text)) for text, size in zip(texts, widths, strict=True))
    return (" " * _GAP).join(padded).rstrip()


def _longest_word(text: str) -> int:
    return max(map(_cells, text.split()), default=0)


def _cells(text: str) -> int:
    """Count the columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text
    )
