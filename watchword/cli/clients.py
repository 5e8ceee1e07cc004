"""The `watchword clients` commands: create, list, show, update, disable, enable, delete."""

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.ambient import wall_clock
from watchword.cli import client_secrets
from watchword.cli.client_key import make_key, print_key, written
from watchword.cli.client_options import (
    ClientChanges,
    ClientFilters,
    ClientOptions,
    find_without_effect,
    labels_of,
    read_filter,
    read_members,
    read_patch,
)
from watchword.cli.client_printing import print_client, print_clients
from watchword.cli.client_secrets import ClientId, SecretFlag, has_live_secret
from watchword.cli.federation import consumer_line
from watchword.cli.grant_options import (
    DEFAULT_SCOPE,
    DETAILS_TYPE,
    AllScopesFlag,
    changed_grants,
    check_grant_changes,
    check_new_grants,
    spread,
    with_types,
    written_out,
)
from watchword.cli.help import ClientCommand, Group
from watchword.cli.options import (
    DURATION,
    later,
    parse_count,
    with_options,
)
from watchword.cli.output import Mistakes, WrongUsage, say
from watchword.cli.printing import TABLE, Output, prints, prints_table
from watchword.cli.progress import watched
from watchword.cli.registry import (
    ServerOption,
    YesFlag,
    administration,
    again_after_conflict,
    read_secret,
    require_yes,
    resource_finder,
)
from watchword.cli.token_revocation import RevokeTokensFlag, decide_revocation

if TYPE_CHECKING:
    from issuer.administration.operations import Versioned
    from issuer.registry.schema import Json
    from watchword.cli.client_key import NewKey
    from watchword.cli.registry import Operations

app = typer.Typer(no_args_is_help=True)
app.add_typer(client_secrets.app, name="secrets", cls=Group)

_MOST_ON_OFFER = 10


@app.command(cls=ClientCommand)
@prints
@with_options(ClientOptions, "client")
def create(
    client_id: Annotated[
        str, typer.Argument(metavar="ID", help="1 to 255 visible ASCII characters, no space.")
    ],
    options: ClientOptions,
    all_scopes: AllScopesFlag = False,
    secret_stdin: SecretFlag = False,
    secret_expires_in: Annotated[
        str | None,
        typer.Option(metavar=DURATION, help="End its first secret after this long."),
    ] = None,
    server: ServerOption = None,
    output: Output = TABLE,
) -> None:
    """Register a client and print its id and its secret, which is never shown again.

    Example: watchword clients create orders-service --scope read
    """
    from issuer.administration.documents import NewClientDocument

    mistakes, now = Mistakes(labels_of(options)), wall_clock()
    document = {"client_id": client_id, **read_members(options, mistakes, now)}
    key = make_key(options, client_id, document, mistakes, documents=output.is_document)
    _add_credential(document, key)
    check_new_grants(options, mistakes, all_scopes=all_scopes, no_grants=options.no_grants)
    if options.narrowed_by and not (options.grant or options.resource):
        mistakes.add(f"--{options.narrowed_by}: name the resources, by --resource or --grant")
    with mistakes.gathered():
        document |= written_out(options)
    if secret_stdin:
        document["client_secret"] = read_secret()
    if secret_expires_in is not None:
        with mistakes.of("--secret-expires-in"):
            document["client_secret_expires_at"] = later(secret_expires_in, now)
    if not (options.grant or options.narrowed_by or options.no_grants):
        document |= _left_to_the_registry(options, all_scopes)
    mistakes.check(NewClientDocument, document)
    with administration(server, mistakes) as operations:
        find = resource_finder(operations)
        if options.narrowed_by and not options.grant:
            document |= spread(options, find, all_scopes=all_scopes)
        document = with_types(options, document, find)
        with written(key):
            created = operations.create_client(document).document
        without_effect = find_without_effect(created, operations)
        on_offer = () if created["grants"] else _on_offer(options, operations)
    output.document(created) if output.is_document else print_client(output, created, now)
    if "client_secret" in created and not output.is_document:
        say("Keep the secret now: it is not shown again.")
    print_key(key, client_id)
    if options.adds_identity and not output.is_document:
        say(f"In the consumer: {consumer_line(client_id, created['federated_identities'][-1])}")
    _warn(created, without_effect)
    _warn_switched_off(created, server)
    if not (created["grants"] or options.no_grants or "introspects" in created):
        _say_what_is_on_offer(client_id, on_offer)


@app.command("list")
@prints_table
@with_options(ClientFilters)
def list_clients(
    options: ClientFilters,
    after: Annotated[
        str | None, typer.Option(metavar="ID", help="Only clients after this one.")
    ] = None,
    limit: Annotated[
        str | None, typer.Option(metavar="N", help="Maximum number of clients; all if left out.")
    ] = None,
    server: ServerOption = None,
    output: Output = TABLE,
) -> None:
    """List clients by id: all, or those that the options say.

    Example: watchword clients list --expiring 30d
    """
    from issuer.administration.operations import pages

    mistakes, most = Mistakes(), None
    if limit is not None:
        with mistakes.of("--limit"):
            most = parse_count(limit)
    wanted = read_filter(options, mistakes)
    with administration(server, mistakes, reading=True) as operations:
        fetched = pages(
            lambda place, size: operations.list_clients(wanted, after=place, limit=size),
            after=after,
            limit=most,
        )
        found = watched(fetched, output)
        if not output.is_document:
            print_clients(output, found, options, operations)
        elif most is None:
            output.documents("clients", (each for page in found for each in page.items))
        else:
            *_, last = every = list(found)
            following = {} if last.next is None else {"next": last.next}
            output.document(
                {"clients": [each for page in every for each in page.items], **following}
            )


@app.command()
@prints
def show(client_id: ClientId, server: ServerOption = None, output: Output = TABLE) -> None:
    """Show one client: what it may ask for and its secrets' times, never a secret.

    Example: watchword clients show orders-service
    """
    mistakes = client_secrets.check_client(client_id)
    with administration(server, mistakes, reading=True) as operations:
        client = operations.show_client(client_id).document
    output.document(client) if output.is_document else print_client(output, client, wall_clock())


@app.command(cls=ClientCommand)
@prints
@with_options(ClientChanges, "client")
def update(
    client_id: ClientId,
    options: ClientChanges,
    server: ServerOption = None,
    output: Output = TABLE,
) -> None:
    """Change a client: what is not named stays as it is; running issuers know within a second.

    Example: watchword clients update orders-service --add-scope write --unset token-ttl
    """
    from issuer.administration.documents import WantedClientDocument

    mistakes, now = Mistakes(labels_of(options)), wall_clock()
    patch = read_patch(options, mistakes, now)
    key = make_key(options, client_id, patch, mistakes, documents=output.is_document)
    if key is not None:
        patch |= {"jwks": {"keys": [key.jwk]}, "jwks_uri": None}
    given = {name: value for name, value in patch.items() if value is not None}
    mistakes.check(WantedClientDocument, {"client_id": client_id, **given}, part=True)
    check_grant_changes(options, mistakes, no_grants=options.no_grants)
    forget = {DEFAULT_SCOPE, DETAILS_TYPE}.intersection(options.unset or ())
    if not (patch or forget or options.change_grants or mistakes):
        raise WrongUsage("say what changes; see: watchword clients update --help")
    with administration(server, mistakes) as operations:
        change = partial(_update, operations, client_id, patch, options, forget)
        with written(key):
            client = again_after_conflict(change).document
        without_effect = find_without_effect(client, operations)
    output.document(client) if output.is_document else print_client(output, client, now)
    print_key(key, client_id)
    _warn(client, without_effect)
    if "token_endpoint_auth_method" in patch:
        _warn_without_secret(client, now)
        _warn_switched_off(client, server)


@app.command()
def disable(
    client_id: ClientId, revoke_tokens: RevokeTokensFlag = False, server: ServerOption = None
) -> None:
    """Refuse a client from now on; running issuers know within a second.

    Example: watchword clients disable orders-service --revoke-tokens
    """
    with administration(server, client_secrets.check_client(client_id)) as operations:
        revoke, told = decide_revocation(operations, client_id, wanted=revoke_tokens)
        operations.update_client(client_id, {"disabled": True}, revoke_tokens=revoke)
    say(f"client {client_id} is disabled; {told}")


@app.command()
def enable(client_id: ClientId, server: ServerOption = None) -> None:
    """Accept a disabled client again.

    Example: watchword clients enable orders-service
    """
    with administration(server, client_secrets.check_client(client_id)) as operations:
        operations.update_client(client_id, {"disabled": False})
    say(f"client {client_id} is enabled")


@app.command()
def delete(
    client_id: ClientId,
    revoke_tokens: RevokeTokensFlag = False,
    yes: YesFlag = False,
    server: ServerOption = None,
) -> None:
    """Delete a client with its grants and secrets.

    Example: watchword clients delete orders-service --revoke-tokens --yes
    """
    with administration(server, client_secrets.check_client(client_id)) as operations:
        operations.show_client(client_id)  # the question is asked about a client that exists
        require_yes(f"Delete the client {client_id} and its secrets?", yes=yes)
        revoke, told = decide_revocation(
            operations, client_id, wanted=revoke_tokens, may_ask=not yes
        )
        operations.delete_client(client_id, revoke_tokens=revoke)
    say(f"client {client_id} is deleted; {told}")


def _add_credential(document: "Json", key: "NewKey | None") -> None:
    """Add a new key to a new client, and the method that its credentials are for."""
    if key is not None:
        document["jwks"] = {"keys": [key.jwk]}
        document.setdefault("token_endpoint_auth_method", "private_key_jwt")
    elif "federated_identities" in document:
        document.setdefault("token_endpoint_auth_method", "federated")


def _left_to_the_registry(options: ClientOptions, all_scopes: bool) -> "Json":
    """Name resources and scopes; the registry grants each scope on the resources that have it."""
    named: Json = {"resources": options.resource} if options.resource else {}
    if all_scopes:
        return named | {"all_scopes": True}
    return named | ({"scope": " ".join(options.scope)} if options.scope else {})


def _update(
    operations: "Operations",
    client_id: str,
    patch: "Json",
    options: ClientChanges,
    forget: Collection[str],
) -> "Versioned":
    adds_key = options.generate_key and not options.replace_keys
    if not (options.change_grants or forget or options.adds_identity or adds_key):
        return operations.update_client(client_id, patch)
    before = operations.show_client(client_id)
    if adds_key:
        keys = before.document.get("jwks", {}).get("keys", ())
        patch = patch | {"jwks": {"keys": [*keys, *patch["jwks"]["keys"]]}}
    if options.adds_identity:
        known = before.document.get("federated_identities", ())
        patch = patch | {"federated_identities": [*known, *patch["federated_identities"]]}
    if options.change_grants or forget:
        find = resource_finder(operations)
        patch = patch | changed_grants(options, before.document, find, forget=forget)
    return operations.update_client(client_id, patch, revision=before.revision)


def _on_offer(options: ClientOptions, operations: "Operations") -> "list[tuple[str, str]]":
    """List what could be granted, by resource; nothing if the caller may not read resources."""
    from issuer.registry.errors import RegistryError
    from watchword.registry import ADMIN_SCOPES

    try:
        found = operations.list_resources()
    except RegistryError:
        return []
    if options.resource:
        found = [each for each in found if each["resource"] in options.resource]
    else:
        found = [each for each in found if set(ADMIN_SCOPES).isdisjoint(each["scopes"])]
    return [(each["resource"], " ".join(each["scopes"])) for each in found[:_MOST_ON_OFFER]]


def _say_what_is_on_offer(client_id: str, on_offer: "Iterable[tuple[str, str]]") -> None:
    say(
        f"{client_id} may ask for nothing yet; grant scopes with:"
        f" watchword clients update {client_id} --resource URI --add-scope SCOPE"
    )
    for resource, scopes in on_offer:
        say(f"  {resource} has: {scopes}")


def _warn(client: "Json", without_effect: "Iterable[str]") -> None:
    """Warn of what has no effect."""
    for each in without_effect:
        say(f"warning: {each}")


def _warn_switched_off(client: "Json", server: str | None) -> None:
    """Warn if the issuer of these settings takes no client of this method."""
    from watchword.contradictions import find_missing_setting
    from watchword.settings import load_settings

    if server is not None:
        return  # it has settings of its own
    method = client["token_endpoint_auth_method"]
    if missing := find_missing_setting(method, load_settings()):
        say(f"warning: {method} is switched off here; set {missing} before the client uses it")


def _warn_without_secret(client: "Json", now: int) -> None:
    from issuer.registry.auth_methods import AuthMethod

    uses_secret = AuthMethod(client["token_endpoint_auth_method"]).uses_secret
    if uses_secret and not has_live_secret(client["secrets"], now):
        say(
            f"warning: {client['client_id']} has no live secret; run:"
            f" watchword clients secrets add {client['client_id']}"
        )
