"""The parameters that routes of the administration API know in their query."""

from dataclasses import replace
from typing import Any, get_args

from issuer.administration.http.route import Call, Parameter
from issuer.administration.operations import MAXIMUM_PAGE, MAXIMUM_USAGE_DAYS
from issuer.registry.client_description import ClientFilter, ClientState

PAGE = (
    Parameter(name="after", kind="string", description="where a page begins: `next` of the last"),
    Parameter(
        name="limit",
        kind="integer",
        default=100,
        least=1,
        most=MAXIMUM_PAGE,
        description="how many at the most",
    ),
)
RESOURCE = Parameter(
    name="resource", kind="string", description="only with a grant on this resource"
)
SCOPE = Parameter(name="scope", kind="string", description="only of this scope")
UNUSED_FOR = Parameter(
    name="unused_for",
    kind="integer",
    least=1,
    most=MAXIMUM_USAGE_DAYS * 86_400,
    description="only what was not used for so many seconds",
)
CLIENTS = (
    RESOURCE,
    SCOPE,
    Parameter(
        name="state",
        kind="string",
        choices=get_args(ClientState),
        description="only in this state",
    ),
    UNUSED_FOR,
    replace(
        UNUSED_FOR,
        name="expiring",
        description="only what ends within so many seconds, or has a secret that does",
    ),
)
USAGE = (
    Parameter(name="client_id", kind="string", description="only of this client"),
    RESOURCE,
    SCOPE,
)
AUDIT = (
    Parameter(
        name="target",
        kind="string",
        description="only of this client, resource or registration token",
    ),
    Parameter(name="actor", kind="string", description="only made by this one"),
    Parameter(
        name="action",
        kind="string",
        description="only this, such as `client.created`, or all that begin so, such as `client`",
    ),
    Parameter(
        name="since",
        kind="string",
        form="date-time",
        description="only made then or later, RFC 3339",
    ),
    Parameter(
        name="until", kind="string", form="date-time", description="only made before, RFC 3339"
    ),
)
WITHDRAW = Parameter(
    name="withdraw",
    kind="boolean",
    default=False,
    description=(
        "take a scope that goes from the clients that hold it, instead of refusing;"
        " takes `watchword:clients:write` too"
    ),
    scopes=("watchword:clients:write",),
)
REVOKE_TOKENS = Parameter(
    name="revoke_tokens",
    kind="boolean",
    default=False,
    description="revoke all of the client's tokens as well; takes `watchword:tokens:write` too",
    scopes=("watchword:tokens:write",),
)
APPLY = (
    Parameter(
        name="dry_run", kind="boolean", default=False, description="only tell what would be done"
    ),
    Parameter(name="prune", kind="boolean", default=False, description="what is not declared goes"),
    Parameter(
        name="usage_days",
        kind="integer",
        default=30,
        most=MAXIMUM_USAGE_DAYS,
        description="how far back to look for who used what goes",
    ),
    replace(
        REVOKE_TOKENS,
        description="revoke all tokens of the clients that are deleted or disabled as well; takes"
        " `watchword:tokens:write` too",
    ),
)


def texts(call: Call, parameters: tuple[Parameter, ...]) -> dict[str, str | None]:
    """Return the values of parameters that are strings, by their names."""
    return {each.name: call.text(each.name) for each in parameters}


def wanted_clients(call: Call) -> ClientFilter:
    """Return which clients a request lists."""
    values: dict[str, Any] = {each.name: call.query[each.name] for each in CLIENTS}
    return ClientFilter(**values)
