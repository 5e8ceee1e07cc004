"""Options of commands: generated from the schema of clients and resources, or declared in a group.

`options.json` has the options for the attributes; `scripts/docs` writes it from the schema, so that
help needs no schema to be imported. Commands only turn text into JSON: the schema validates it.
"""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from watchword.cli.output import Mistakes
from watchword.durations import parse_duration

if TYPE_CHECKING:
    from issuer.registry.schema import Json

OPTIONS_FILE = Path(__file__).with_name("options.json")
Kind = Literal["client", "resource"]

DURATION = "DURATION"
"""What stands in help for a duration, such as `3600`, `12h` or `90d`."""

_COUNT = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_SHORT_ID = re.compile(r"[0-9a-f]{1,32}", re.ASCII)
_TEN_YEARS = 3_650 * 86_400
_LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeOption:
    """The option for one attribute of a client or resource.

    Args:
        member: the attribute's name in documents.
        flag: such as `--token-ttl`, or `--dpop/--no-dpop`.
        form: how the text is read: a key of `_READERS`.
        help: what help says of it.
        metavar: what stands for the value in help; None for a flag.
        unset: whether `--unset` takes the value away.
    """

    member: str
    flag: str
    form: str
    help: str
    metavar: str | None = None
    unset: bool = False

    @property
    def label(self) -> str:
        """The option as people type it; the positive one of a pair."""
        return self.flag.partition("/")[0]

    @property
    def name(self) -> str:
        """The name of the value for `--unset`."""
        return self.label.removeprefix("--")

    def parameter(self) -> inspect.Parameter:
        """Return the parameter from which typer makes the option."""
        lists = dict.fromkeys(("list", "objects", "pairs", "schemas"), list[str])
        value: Any = bool if self.form == "flag" else lists.get(self.form, str)
        option = typer.Option(self.flag, metavar=self.metavar, help=self.help)
        return inspect.Parameter(
            self.member,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[value | None, option],
        )


@cache
def attribute_options(kind: Kind) -> tuple[AttributeOption, ...]:
    """Return the options for the attributes of a client or resource."""
    described = json.loads(OPTIONS_FILE.read_text(encoding="utf-8"))
    return tuple(AttributeOption(**each) for each in described[kind])


@cache
def attribute_labels(kind: Kind) -> Mapping[str, str]:
    """Return the options by the members that they set, to name them in messages."""
    return {each.member: each.label for each in attribute_options(kind)}


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """A group of options beside those for attributes; `typed` has these as they were typed."""

    typed: Mapping[str, Any] = field(default_factory=dict)


def with_options(
    group: type[Any], attributes: Kind | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the fields of a dataclass as options, in the place of its `options`.

    Args:
        group: a dataclass whose fields with a default have a type that typer understands.
        attributes: add the options for the attributes; the group is then an `Attributes`.
    """
    hints = get_type_hints(group, include_extras=True)
    declared = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=hints[each.name],
        )
        for each in fields(group)
        if each.default is not MISSING
    ]
    names = [each.name for each in declared]
    generated = [each.parameter() for each in attribute_options(attributes)] if attributes else []

    def build(**given: Any) -> Any:  # noqa: ANN401 - any option, and the group
        values = {name: given.pop(name) for name in names}
        return group(**values, **({"typed": given} if generated else {}))

    return in_place_of("options", [*declared, *generated], build)


def in_place_of(
    name: str, parameters: Sequence[inspect.Parameter], build: Callable[..., object]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command several options in the place of one parameter.

    Args:
        name: of the parameter.
        parameters: the options, as typer reads them.
        build: makes the parameter's value of the values of the options, by their names.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = list(inspect.signature(command).parameters.values())
        place = next(index for index, each in enumerate(signature) if each.name == name)

        def run(**given: Any) -> None:  # noqa: ANN401 - any option
            values = {each.name: given.pop(each.name) for each in parameters}
            command(**given, **{name: build(**values)})

        replaced = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for each in (*signature[:place], *parameters, *signature[place + 1 :])
        ]
        run.__doc__ = command.__doc__
        run.__name__ = command.__name__
        # typer reads both: the one for names and defaults, the other for types.
        run.__signature__ = inspect.Signature(replaced)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in replaced}
        return run

    return decorate


def read_attributes(kind: Kind, typed: Mapping[str, Any], mistakes: Mistakes) -> "Json":
    """Return the members of a document that were typed, as JSON values that are not checked yet."""
    members: Json = {}
    for option in attribute_options(kind):
        if (text := typed.get(option.member)) is not None:
            with mistakes.of(option.label):
                members[option.member] = _READERS[option.form](text)
    return members


def unset_choices(kind: Kind, others: Sequence[str] = ()) -> str:
    """List the values that `--unset` takes away: those of attributes, and others."""
    *most, last = (*(each.name for each in attribute_options(kind) if each.unset), *others)
    return f"{', '.join(most)} or {last}"


def read_unset(
    kind: Kind, names: Sequence[str], patch: "Json", mistakes: Mistakes, others: Sequence[str] = ()
) -> None:
    """Add the values that `--unset` takes away to a merge patch (RFC 7396).

    Args:
        kind: of what they are attributes.
        names: the values of `--unset`.
        patch: what other options set or unset already.
        mistakes: gets names that there are not, or that other options say something else of.
        others: what else can be unset, to be named in the message.
    """
    members = {each.name: each.member for each in attribute_options(kind) if each.unset}
    for name in names:
        if name not in members:
            mistakes.add(f"--unset: choose {unset_choices(kind, others)}")
        elif members[name] in patch:
            mistakes.add(f"--unset {name}: another option sets or unsets it as well")
        else:
            patch[members[name]] = None


def read_words(texts: Sequence[str]) -> list[str]:
    """Return the words of texts, each once; in each text one, or several with a space between."""
    return list(dict.fromkeys(word for text in texts for word in text.split(" ")))


def read_pairs(texts: Sequence[str], form: str = "KEY=VALUE") -> dict[str, str]:
    """Read `KEY=VALUE` texts.

    Raises:
        ValueError: one has no key or no equals sign, or a key is given twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ValueError(f"must be {form}")
        if key in pairs:
            raise ValueError(f"{key!a} is given twice")
        pairs[key] = value
    return pairs


def load_object(path: str) -> dict[str, Any]:
    """Load a JSON object from a file.

    Raises:
        ValueError: the file cannot be read, is too large, or holds no JSON object.
    """
    from keys.encoding import parse_json_object

    raw = load_file(path)
    try:
        return parse_json_object(raw)
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}") from None


def load_file(path: str) -> bytes:
    """Load a file of bounded size.

    Raises:
        ValueError: the file cannot be read, or is too large.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{path} cannot be read: {why.lower()}") from None
    if len(raw) > _LARGEST_FILE:
        raise ValueError(f"{path} has more than {_LARGEST_FILE} bytes")
    return raw


def load_schemas(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Load types of authorization details, each with its JSON Schema, from `TYPE=FILE` texts.

    Raises:
        ValueError: one is no such text, or its file holds no JSON object.
    """
    pairs = read_pairs(texts, form="TYPE=FILE")
    return [{"type": name, "schema": load_object(path)} for name, path in pairs.items()]


def read_objects(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Read objects of JSON.

    Raises:
        ValueError: one is none.
    """
    from keys.encoding import parse_json_object

    try:
        return [parse_json_object(text.encode("utf-8", "surrogateescape")) for text in texts]
    except ValueError as error:
        raise ValueError(f"must be a JSON object: {error}") from None


def read_number(text: str) -> int | str:
    """Read a whole number; other text is returned as it is, for the schema to refuse or accept."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


def read_duration_option(label: str, text: str, *, least: int = 1, most: int | None = None) -> int:
    """Read the duration of an option that no schema checks, into seconds.

    Args:
        label: the option.
        text: as it was typed.
        least: the shortest that it may be.
        most: the longest.

    Raises:
        WrongUsage: it is none, or not within these.
    """
    mistakes, seconds = Mistakes(), 0
    with mistakes.of(label):
        seconds = parse_duration(text, least=least)
        if most is not None and seconds > most:
            raise ValueError(f"must be {most} seconds at the most")
    mistakes.refuse()
    return seconds


def read_lately(label: str, text: str | None) -> int | None:
    """Read a duration of at most ten years, over which the registry is searched, into seconds."""
    return None if text is None else read_duration_option(label, text, most=_TEN_YEARS)


def read_duration(text: str) -> int:
    """Read a duration into seconds, or a number that is too small, for the schema to refuse.

    Raises:
        ValueError: it is neither.
    """
    number = read_number(text)
    return number if isinstance(number, int) else parse_duration(text)


_READERS: Mapping[str, Callable[[Any], object]] = {
    "text": str,
    "number": read_number,
    "duration": read_duration,
    "flag": bool,
    "list": read_words,
    "objects": read_objects,
    "pairs": read_pairs,
    "file": load_object,
    "schemas": load_schemas,
}

UnusedFor = Annotated[
    str | None, typer.Option(metavar=DURATION, help="Only what was not used for this long.")
]


def parse_count(text: str) -> int:
    """Read a whole number, 1 or more.

    Raises:
        ValueError: it is none.
    """
    if not _COUNT.fullmatch(text):
        raise ValueError("must be a whole number, 1 or more")
    return int(text)


def later(text: str, now: int) -> str:
    """Read a duration from `now` into the time that it will be, RFC 3339 in UTC.

    Raises:
        ValueError, InvalidValue: it is no duration, or ends beyond the year 9999.
    """
    from issuer.registry.schema import check_time, write_time

    then = now + parse_duration(text)
    check_time(then)
    return write_time(then)


def check_short_id(text: str) -> None:
    """Refuse what cannot be the id of a secret or token; it may be the secret, so it is not shown.

    Raises:
        ValueError: it is no such id.
    """
    if not _SHORT_ID.fullmatch(text):
        raise ValueError("must be an id as the list shows it, not the secret or token itself")
