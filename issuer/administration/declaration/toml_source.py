"""Read TOML and find the line of every key (TOML 1.0).

`tomllib` parses and says no positions; the finder walks over what it has found to be valid, and so
needs to know only where things begin and end.
"""

import re
import tomllib
from bisect import bisect_left
from typing import cast

from issuer.administration.declaration.errors import InvalidDeclaration, KeyPath, Mistake
from issuer.administration.declaration.source_text import MAXIMUM_DEPTH, TOO_DEEP, SourceText

_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")

# What lies deeper is refused, whatever it is; its path could be as long as the text.
_DEEPEST = MAXIMUM_DEPTH + 1

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
# The longest quotes come first: three of them open a text of many lines, which may end in five.
_VALUE = re.compile(
    r'''"""(?:[^\\]|\\.)*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:'{0,2})'''
    r"""|"(?:[^"\\]|\\.)*"|'[^']*'|[^,\]}#\r\n]+""",
    re.DOTALL,
)


def read_toml(text: str) -> SourceText:
    """Parse TOML.

    Raises:
        InvalidDeclaration: it is not TOML, or nested too deeply.
    """
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise InvalidDeclaration([Mistake(why=TOO_DEEP)]) from None
    except ValueError as error:  # TOMLDecodeError is one, and so are a number's limits
        raise InvalidDeclaration([_syntax_mistake(text, str(error))]) from None
    return SourceText(values, lambda: _Finder(text).find())


def _syntax_mistake(text: str, said: str) -> Mistake:
    place = _PLACE.search(said)
    if place is None:
        return Mistake(why=f"not TOML: {said}")
    why = said[: place.start()]
    if place["line"] is None:
        return Mistake(why=f"not TOML: {why} (end of file)", line=text.count("\n") + 1)
    return Mistake(why=f"not TOML: {why} (column {place['column']})", line=int(place["line"]))


class _Finder:
    """Walks over valid TOML once; `_at` is how far it has come."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [found.start() for found in re.finditer("\n", text)]
        self._lines: dict[KeyPath, int] = {}
        self._last: dict[KeyPath, int] = {}  # of each array of tables, the index of the last

    def find(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip_blank()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip_blank()
        return self._lines

    def _header(self) -> KeyPath:
        """Walk over `[a.b]` or `[[a.b]]` and return the path of the table that it opens."""
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._step(brackets)
        keys = self._keys()
        self._skip_blank()
        self._step(brackets)
        path: KeyPath = ()
        for key in keys[:-1][:_DEEPEST]:
            path = self._enter((*path, key))
        if brackets == 1:
            return self._enter((*path, keys[-1]))
        return self._append((*path, keys[-1]))

    def _enter(self, path: KeyPath) -> KeyPath:
        self._note(path)
        return (*path, self._last[path]) if path in self._last else path

    def _append(self, path: KeyPath) -> KeyPath:
        self._last[path] = self._last.get(path, -1) + 1
        self._note(path)
        return self._enter_element(path, self._last[path])

    def _enter_element(self, path: KeyPath, index: int) -> KeyPath:
        self._note((*path, index))
        return (*path, index)

    def _pair(self, table: KeyPath) -> None:
        """Walk over `a.b = value`."""
        path = table
        for key in self._keys():
            path = (*path, key)[:_DEEPEST]
            self._note(path)
        self._skip_blank()
        self._step(1)  # =
        self._skip_blank()
        self._value(path)

    def _keys(self) -> list[str]:
        self._skip_blank()
        keys = [self._key()]
        while dot := _DOT.match(self._text, self._at):
            self._at = dot.end()
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        raw = self._match(_KEY)
        if raw[0] not in "\"'":
            return raw
        return next(iter(tomllib.loads(f"{raw}=0")))

    def _value(self, path: KeyPath) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._match(_VALUE)

    def _array(self, path: KeyPath) -> None:
        index = 0
        while self._goes_on("]"):
            self._value(self._enter_element(path, index))
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        while self._goes_on("}"):
            self._pair(path)

    def _goes_on(self, closing: str) -> bool:
        """Step over the opening bracket or a comma; tell whether there is another element."""
        self._skip_blank()
        if self._text[self._at] != closing:
            self._step(1)
            self._skip_blank()
        if self._text[self._at] != closing:
            return True
        self._step(1)
        return False

    def _note(self, path: KeyPath) -> None:
        self._lines.setdefault(path, bisect_left(self._newlines, self._at) + 1)

    def _match(self, pattern: re.Pattern[str]) -> str:
        # The text is valid, so what is looked for is there.
        found = cast("re.Match[str]", pattern.match(self._text, self._at))
        self._at = found.end()
        return found[0]

    def _skip_blank(self) -> None:
        self._match(_BLANK)

    def _step(self, characters: int) -> None:
        self._at += characters
