"""Where settings come from beside flags and files: the environment, as it has to be read here."""

import os
import re
from pathlib import Path
from typing import Any

from pydantic_settings import EnvSettingsSource, PydanticBaseSettingsSource

PREFIX = "WATCHWORD_"
SECRETS = ("database_url", "replay_store", "key_passphrase", "pkcs11_pin", "client_secret")
"""Settings that may be in a file of their own, which the variable with `_FILE` behind it names."""

_LONGEST_SECRET = 4096

# Kubernetes sets these in every pod of a namespace that has a Service named watchword, or
# watchword-…: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_VARIABLE = re.compile(
    r"(?P<service>WATCHWORD(_[A-Z0-9_]+?)??)_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?"
    r"|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://\S+:[0-9]+")


class Environment(EnvSettingsSource):
    """The environment, without what Kubernetes says of a Service that has our name."""

    def get_field_value(  # noqa: D102 - the base class documents it
        self,
        field: Any,  # noqa: ANN401
        field_name: str,
    ) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        name = f"{PREFIX}{field_name.upper()}"
        if isinstance(value, str) and _SERVICE_ADDRESS.fullmatch(value) and is_of_service(name):
            value = None
        return value, key, is_complex


class PlainClientCredentials(PydanticBaseSettingsSource):
    """`CLIENT_ID` and `CLIENT_SECRET` without the prefix, which many deployments already set."""

    def get_field_value(  # noqa: D102 - the base class documents it
        self,
        field: Any,  # noqa: ANN401
        field_name: str,
    ) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:  # noqa: D102 - the base class documents it
        plain = {"client_id": "CLIENT_ID", "client_secret": "CLIENT_SECRET"}
        environment = os.environ  # noqa: TID251 - this module is where the environment is read
        return {field: environment[name] for field, name in plain.items() if environment.get(name)}


def is_of_service(name: str) -> bool:
    """Tell whether Kubernetes set this variable for a Service that has our name."""
    environment = os.environ  # noqa: TID251 - this module is where the environment is read
    match = _SERVICE_VARIABLE.fullmatch(name)
    return match is not None and f"{match['service']}_SERVICE_HOST" in environment


def read_secret_files() -> tuple[dict[str, str], list[str]]:
    """Read the secrets whose files the environment names, as systemd and containers pass them.

    Returns:
        The secrets by the names of their settings, and a line for each mistake.
    """
    environment = os.environ  # noqa: TID251 - this module is where the environment is read
    given = {name.upper(): value for name, value in environment.items() if value}
    found: dict[str, str] = {}
    mistakes: list[str] = []
    for setting in SECRETS:
        variable = f"{PREFIX}{setting.upper()}"
        file = given.get(f"{variable}_FILE")
        if file is None:
            continue
        if variable in given:
            mistakes.append(f"{variable}_FILE: {variable} is set as well; remove one of them")
            continue
        try:
            found[setting] = _read_secret(Path(file))
        except ValueError as error:
            mistakes.append(f"{variable}_FILE: {file} {error}")
    return found, mistakes


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_SECRET + 1)
        text = content.decode().strip()
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        why = (error.strerror or "input/output error").lower()
        raise ValueError(f"cannot be read: {why}") from None
    if not text or not text.isprintable() or len(content) > _LONGEST_SECRET:
        raise ValueError(f"must hold one line of UTF-8 text, of at most {_LONGEST_SECRET} bytes")
    return text
