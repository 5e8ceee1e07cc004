"""Write watchword/cli/options.json, the command line's options, from the schema of the registry."""

import json
import sys
from typing import Any

from pydantic import TypeAdapter

from issuer.registry.client import ClientRegistration
from issuer.registry.resource import Resource
from issuer.registry.schema import Option, marks_of
from scripts.generated import write_or_check
from watchword.cli.options import OPTIONS_FILE

MODELS = {"client": ClientRegistration, "resource": Resource}


def write_options() -> str:
    """Write the options of all commands as JSON."""
    options = {kind: describe(model) for kind, model in MODELS.items()}
    return json.dumps(options, indent=2, ensure_ascii=False) + "\n"


def describe(model: type[Any]) -> list[dict[str, object]]:
    """Return the options for the members of a model, in their order."""
    properties = TypeAdapter(model).json_schema()["properties"]
    return [
        describe_option(member, option, properties[member])
        for member, option in marks_of(model, Option).items()
    ]


def describe_option(member: str, option: Option, schema: dict[str, Any]) -> dict[str, object]:
    """Return one option, with help that has the constraints of the schema in it."""
    value = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
    form = {"integer": "number", "boolean": "flag", "array": "list"}.get(value["type"], "text")
    if value["type"] == "object":
        form = "file" if option.metavar == "FILE" else "pairs"
    forms = {"TYPE=FILE": "schemas", "JSON": "objects", "DURATION": "duration"}
    form = forms.get(option.metavar or "", form)
    described: dict[str, object] = {
        "member": member,
        "flag": option.flag,
        "form": form,
        "help": option.help or write_help(schema, value, form),
    }
    if option.metavar:
        described["metavar"] = option.metavar
    if option.unset:
        described["unset"] = True
    return described


def write_help(schema: dict[str, Any], value: dict[str, Any], form: str) -> str:
    """Write a sentence: what the member means, and which values it can have."""
    text: str = schema["description"][:1].upper() + schema["description"][1:]
    if "minimum" in value:
        text += f", {value['minimum']} to {value['maximum']}"
    if choices := value.get("enum") or value.get("items", {}).get("enum"):
        default = schema.get("default")
        named = (f"{each} (the default)" if each == default else each for each in choices)
        text += f": {', '.join(named)}"
    if value.get("format") == "date-time":
        text += ", such as 2027-01-31T12:00:00Z"
    endings = {
        "file": ", in a file",
        "flag": ", or not",
        "list": "; repeat it for more",
        "pairs": "; repeat it for more",
    }
    return text + endings.get(form, "") + "."


if __name__ == "__main__":
    sys.exit(write_or_check(OPTIONS_FILE, write_options()))
