"""Read a declaration from a text: the declaration, or every mistake in it at once."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import ValidationError

from issuer.administration.declaration.checks import Complaint, check_between
from issuer.administration.declaration.document import VERSION, Declaration
from issuer.administration.declaration.errors import (
    InvalidDeclaration,
    KeyPath,
    Mistake,
    write_path,
)
from issuer.administration.declaration.source_text import SourceText, check_size, plain_values
from issuer.administration.declaration.wording import complaints_of
from issuer.registry.schema import read

Form = Literal["toml", "yaml"]


def read_declaration(text: str, form: Form) -> Declaration:
    """Read a declaration.

    Args:
        text: what the file says.
        form: the language that it says it in.

    Raises:
        InvalidDeclaration: with every mistake, each with its line.
    """
    check_size(text)
    source = _parse(text, form)
    values, unreadable = plain_values(source)
    _check_version(values.get("version"), source)
    complaints = {path: Complaint(path, why) for path, why in unreadable}
    declaration = None
    try:
        declaration = read(Declaration, values)
    except ValidationError as error:
        _add(complaints, (Complaint(path, why) for path, why in complaints_of(error)))
    _add(complaints, check_between(values))
    if complaints or declaration is None:
        raise _invalid(complaints.values(), source)
    return declaration


def _add(complaints: dict[KeyPath, Complaint], more: Iterable[Complaint]) -> None:
    """Add complaints about what nobody has complained of yet."""
    for complaint in more:
        complaints.setdefault(complaint.path, complaint)


def _parse(text: str, form: Form) -> SourceText:
    # Only what the form needs is loaded.
    if form == "toml":
        from issuer.administration.declaration.toml_source import read_toml

        return read_toml(text)
    from issuer.administration.declaration.yaml_source import read_yaml

    return read_yaml(text)


def _check_version(version: Any, source: SourceText) -> None:  # noqa: ANN401 - whatever was written
    """Refuse a newer file by that alone: what else it says cannot be judged."""
    if isinstance(version, int) and version > VERSION:
        why = f"the file is of version {version}; this program reads version {VERSION}"
        raise _invalid([Complaint(("version",), why)], source)


def _invalid(complaints: Iterable[Complaint], source: SourceText) -> InvalidDeclaration:
    return InvalidDeclaration([_mistake(each, source) for each in complaints])


def _mistake(complaint: Complaint, source: SourceText) -> Mistake:
    why = complaint.why
    if complaint.first is not None:
        line = source.line(complaint.first)
        why += f"; first as {write_path(complaint.first)} on line {line}"
    return Mistake(why=why, path=complaint.path, line=source.line(complaint.path))
