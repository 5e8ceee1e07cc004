"""The `watchword clients` commands: register clients, see them, switch them off and on."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchword.cli.errors import CommandFailed, WrongUsage
from watchword.cli.output import JsonFlag, print_fields, print_json, print_table, rfc3339, say
from watchword.cli.registry import (
    YesFlag,
    opened_registry,
    require_yes,
    scopes_of,
    usage_checked,
)

if TYPE_CHECKING:
    from issuer.registry.client import AuthMethod, Client
    from issuer.registry.secret_hash import SecretHash

app = typer.Typer(no_args_is_help=True, help="Clients: create, see, disable, delete.")

ClientId = Annotated[str, typer.Argument(metavar="ID", help="The client's id.")]

_LATER_METHODS = frozenset(
    {
        "client_secret_jwt",
        "private_key_jwt",
        "tls_client_auth",
        "self_signed_tls_client_auth",
        "federated",
    }
)


ScopeOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A scope the client may ask for; repeat it for more. If left out: every scope"
        " that its resources have now."
    ),
]
ResourceOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URI",
        help="A resource it may get tokens for, the default one first. If left out: the"
        " configured API resource.",
    ),
]
AuthOption = Annotated[
    str, typer.Option(metavar="METHOD", help="client_secret_basic or client_secret_post.")
]
TtlOption = Annotated[
    int | None, typer.Option(metavar="SECONDS", help="Lifetime of its tokens, up to 86400.")
]
SecretFlag = Annotated[
    bool,
    typer.Option(
        "--secret-stdin",
        help="Read the secret from the first line of standard input instead of making one:"
        " 32 characters or more; down to 8 are accepted at the price of slow checks.",
    ),
]


@app.command()
def create(
    client_id: Annotated[
        str, typer.Argument(metavar="ID", help="1 to 255 visible ASCII characters, no space.")
    ],
    scope: ScopeOption = None,
    resource: ResourceOption = None,
    auth: AuthOption = "client_secret_basic",
    token_ttl: TtlOption = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    secret_stdin: SecretFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Register a client and print its id and its secret, which is never shown again.

    Example: watchword clients create orders-service --scope read
    """
    from issuer.registry.client import NewClient

    method = _auth_method(auth)
    scopes = scopes_of(scope or ())
    secret = _read_secret() if secret_stdin else _generated_secret()
    with opened_registry() as (registry, settings):
        with usage_checked():
            new = NewClient(
                client_id=client_id,
                secret_hash=_hashed(secret),
                resources=tuple(dict.fromkeys(resource or (settings.default_resource,))),
                scopes=scopes,
                auth_method=method,
                token_ttl=token_ttl,
                display_name=name,
            )
        client = registry.create_client(new)
    shown = {} if secret_stdin else {"client_secret": secret}
    facts = {"client_id": client.client_id, **shown, **_describe(client)}
    if as_json:
        print_json(facts)
        return
    print_fields(_for_people(facts))
    if shown:
        say("Keep the secret now: it is not shown again.")


@app.command("list")
def list_clients(as_json: JsonFlag = False) -> None:
    """Show all clients.

    Example: watchword clients list --json
    """
    with opened_registry() as (registry, _):
        clients = registry.list_clients()
    if as_json:
        print_json({"clients": [_describe(client) for client in clients]})
    elif clients:
        print_table(["client_id", "scope", "resources", "state", "name"], map(_row, clients))
    else:
        say("There is no client yet; run: watchword clients create ID")


@app.command()
def show(client_id: ClientId, as_json: JsonFlag = False) -> None:
    """Show one client: its grants and its secrets' times, never a secret.

    Example: watchword clients show orders-service
    """
    with opened_registry() as (registry, _):
        client = registry.find_client(client_id)
    if client is None:
        raise CommandFailed(f"no such client: {client_id}")
    facts = _describe(client) | {"secrets": _secrets(client)}
    print_json(facts) if as_json else print_fields(_for_people(facts))


@app.command()
def disable(client_id: ClientId) -> None:
    """Refuse a client from now on; running issuers know within a second.

    Example: watchword clients disable orders-service
    """
    with opened_registry() as (registry, _):
        registry.set_disabled(client_id, True)
    say(f"client {client_id} is disabled; tokens it holds live on until they expire")


@app.command()
def enable(client_id: ClientId) -> None:
    """Accept a disabled client again.

    Example: watchword clients enable orders-service
    """
    with opened_registry() as (registry, _):
        registry.set_disabled(client_id, False)
    say(f"client {client_id} is enabled")


@app.command()
def delete(client_id: ClientId, yes: YesFlag = False) -> None:
    """Delete a client with its grants and secrets.

    Example: watchword clients delete orders-service --yes
    """
    with opened_registry() as (registry, _):
        if registry.find_client(client_id) is None:
            raise CommandFailed(f"no such client: {client_id}")
        require_yes(f"Delete the client {client_id} and its secrets?", yes=yes)
        registry.delete_client(client_id)
    say(f"client {client_id} is deleted")


def _auth_method(text: str) -> "AuthMethod":
    from issuer.registry.client import AuthMethod

    if text in _LATER_METHODS:
        raise WrongUsage(f"--auth: {text} is not available yet")
    try:
        return AuthMethod(text)
    except ValueError:
        raise WrongUsage("--auth: choose " + " or ".join(AuthMethod)) from None


def _generated_secret() -> str:
    import secrets

    from issuer.registry.secret_hash import generate_secret

    return generate_secret(secrets.token_bytes)


def _read_secret() -> str:
    from issuer.registry.secret_hash import check_secret

    line = sys.stdin.buffer.readline(4096).rstrip(b"\r\n")
    with usage_checked():
        secret = line.decode("ascii", "replace")
        check_secret(secret)
    return secret


def _hashed(secret: str) -> "SecretHash":
    import secrets

    from issuer.registry.secret_hash import SALT_BYTES, SecretHash, hash_secret

    return SecretHash.parse(hash_secret(secret, salt=secrets.token_bytes(SALT_BYTES)))


def _describe(client: "Client") -> dict[str, Any]:
    """Name what is registered as RFC 7591 §2 does, and the rest in its manner."""
    scopes = dict.fromkeys(scope for grant in client.grants for scope in grant.scopes)
    return {
        "client_id": client.client_id,
        "client_name": client.display_name,
        "token_endpoint_auth_method": client.auth_method.value,
        "grant_types": ["client_credentials"],
        "scope": " ".join(scopes),
        "resources": [grant.resource for grant in client.grants],
        "grants": [
            {"resource": grant.resource, "scope": " ".join(grant.scopes)} for grant in client.grants
        ],
        "token_ttl": client.token_ttl,
        "disabled": client.disabled,
        "created_at": rfc3339(client.created_at),
        "updated_at": rfc3339(client.updated_at),
    }


def _secrets(client: "Client") -> list[dict[str, Any]]:
    return [
        {
            "secret_id": secret.secret_id,
            "created_at": rfc3339(secret.created_at),
            "starts_at": rfc3339(secret.starts_at),
            "expires_at": rfc3339(secret.expires_at),
        }
        for secret in client.secrets
    ]


def _row(client: "Client") -> list[str | None]:
    facts = _describe(client)
    state = "disabled" if client.disabled else "enabled"
    resources = " ".join(facts["resources"])
    return [client.client_id, facts["scope"], resources, state, client.display_name]


def _for_people(facts: dict[str, Any]) -> dict[str, Any]:
    """Put nested facts on one line each."""
    shown = facts | {
        "grant_types": ", ".join(facts["grant_types"]),
        "grants": "; ".join(f"{each['resource']}: {each['scope']}" for each in facts["grants"]),
        "disabled": "yes" if facts["disabled"] else "no",
    }
    del shown["resources"], shown["scope"]
    if "secrets" in shown:
        shown["secrets"] = "; ".join(
            f"{each['secret_id']} from {each['starts_at']} until {each['expires_at'] or 'revoked'}"
            for each in facts["secrets"]
        )
    return shown
