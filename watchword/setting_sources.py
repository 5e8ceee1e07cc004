"""Where settings come from beside flags and files: the environment, as it has to be read here."""

import os
import re
from typing import Any

from pydantic_settings import EnvSettingsSource, PydanticBaseSettingsSource

PREFIX = "WATCHWORD_"

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
