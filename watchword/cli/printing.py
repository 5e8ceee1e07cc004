"""What a command prints: a table for people, or one document of JSON or YAML for scripts."""

import inspect
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from textwrap import indent
from typing import Annotated, Any

import typer

from watchword.ambient import wall_clock
from watchword.cli.options import in_place_of
from watchword.cli.output import WrongUsage, printable
from watchword.cli.tables import Column, lay_out, lay_out_fields
from watchword.durations import write_distance

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_OF_TIMES = ("_at", "_from")


class Form(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True, slots=True)
class Output:
    """Writes the result of a command on standard output.

    Args:
        form: how.
        wide: all columns of a table, and its times in full.
    """

    form: Form = Form.TABLE
    wide: bool = False

    @property
    def is_document(self) -> bool:
        """Whether a script reads it: one document is written, and nothing else."""
        return self.form is not Form.TABLE

    def document(self, document: object) -> None:
        """Write exactly one document."""
        sys.stdout.write(_json(document) + "\n" if self.form is Form.JSON else _yaml(document))

    def documents(self, name: str, items: Iterable[object]) -> None:
        """Write `{name: [items]}` as `document` does, each item as soon as it is fetched.

        A failure before the first leaves nothing written.
        """
        if self.form is Form.JSON:
            _write_json_list(name, items)
            return
        begun = False
        for item in items:
            sys.stdout.write(("" if begun else f"{name}:\n") + _yaml([item]))
            begun = True
        if not begun:
            sys.stdout.write(f"{name}: []\n")

    def entry(self, item: object) -> None:
        """Write one entry of a list without end: a line of JSON, or an item of a YAML list."""
        sys.stdout.write(
            _escaped(json.dumps(item, ensure_ascii=False)) + "\n"
            if self.form is Form.JSON
            else _yaml([item])
        )
        sys.stdout.flush()

    def show(
        self, document: Mapping[str, object], fields: Mapping[str, object] | None = None
    ) -> None:
        """Write one thing as `document` or as `fields` does.

        Args:
            document: for scripts.
            fields: for people, if that differs.
        """
        if self.is_document:
            self.document(document)
        else:
            self.fields(document if fields is None else fields)

    def fields(self, fields: Mapping[str, object]) -> None:
        """Write one thing as name and value, a line each; unset values are left out."""
        shown = [
            (printable(name), printable(_written(name, value)))
            for name, value in fields.items()
            if value is not None
        ]
        _write_lines(lay_out_fields(shown, _width()))

    def table(self, columns: Sequence[Column], rows: Iterable[Mapping[str, object]]) -> None:
        """Write rows, each by the names of the columns; a header in bold on a terminal."""
        shown = [column for column in columns if self.wide or not column.wide]
        cells = [[self._cell(column, row.get(column.name)) for column in shown] for row in rows]
        lines = lay_out(shown, cells, _width())
        if cells and _has_colour() and lines[0].startswith(shown[0].name + " "):
            lines[0] = f"\x1b[1m{lines[0]}\x1b[0m"
        _write_lines(lines)

    def _cell(self, column: Column, value: object) -> str:
        text = "" if value is None else printable(str(value))
        return text if self.wide or column.kind != "time" else _distance(text)


TABLE = Output()

_FORM = Annotated[
    Form | None, typer.Option("--output", help="How to print the result.", show_default=False)
]
_JSON_FLAG = Annotated[bool, typer.Option("--json", help="The same as --output json.")]
_WIDE_FLAG = Annotated[bool, typer.Option("--wide", help="All columns, and times in full.")]


def prints(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options `--output` and `--json` in the place of its `output`."""
    return in_place_of("output", _parameters(output_form=_FORM, as_json=_JSON_FLAG), _chosen)(
        command
    )


def prints_table(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that lists the option `--wide` beside those of `prints`."""
    parameters = _parameters(wide=_WIDE_FLAG, output_form=_FORM, as_json=_JSON_FLAG)
    return in_place_of("output", parameters, _chosen)(command)


def rfc3339(seconds: int | None) -> str | None:
    """Write a time in seconds since the epoch as RFC 3339 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parameters(**annotations: Any) -> list[inspect.Parameter]:  # noqa: ANN401 - types with options
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if annotation is _FORM else False,
            annotation=annotation,
        )
        for name, annotation in annotations.items()
    ]


def _chosen(*, output_form: Form | None, as_json: bool, wide: bool = False) -> Output:
    if as_json and output_form not in (None, Form.JSON):
        raise WrongUsage(f"--json: not together with --output {output_form}")
    return Output(Form.JSON if as_json else output_form or Form.TABLE, wide)


def _write_json_list(name: str, items: Iterable[object]) -> None:
    begun = False
    for item in items:
        sys.stdout.write(("," if begun else f"{{\n  {_json(name)}: [") + "\n")
        sys.stdout.write(indent(_json(item), "    "))
        begun = True
    sys.stdout.write("\n  ]\n}\n" if begun else f"{{\n  {_json(name)}: []\n}}\n")


def _json(document: object) -> str:
    return _escaped(json.dumps(document, indent=2, ensure_ascii=False))


def _escaped(text: str) -> str:
    if text.replace("\n", "").isprintable():
        return text
    # JSON (RFC 8259 §7) has the other controls of a terminal stand in a string as they are.
    return "".join(
        each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text
    )


def _yaml(document: object) -> str:
    import yaml

    def write(*, plain: bool) -> str:
        dumped = yaml.safe_dump(document, sort_keys=False, allow_unicode=plain, width=1 << 20)
        return str(dumped)

    text = write(plain=True)
    return text if text.replace("\n", "").isprintable() else write(plain=False)


def _written(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    text = str(value)
    if name.endswith(_OF_TIMES) and (distance := _distance(text)) != text:
        return f"{text} ({distance})"
    return text


def _distance(text: str) -> str:
    """Return a time by its distance from now; any other text as it is."""
    if not _TIME.fullmatch(text):
        return text
    return write_distance(int(datetime.fromisoformat(text).timestamp()), wall_clock())


def _width() -> int | None:
    """Return the width of the terminal; what is piped gets whole lines."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _has_colour() -> bool:
    environment = os.environ  # noqa: TID251 - https://no-color.org is no setting of ours
    return sys.stdout.isatty() and not environment.get("NO_COLOR")


def _write_lines(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(line + "\n" for line in lines))
