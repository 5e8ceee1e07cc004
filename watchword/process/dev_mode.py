"""`serve --dev`: everything that a first try needs, made at start and thrown away at the end."""

import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from issuer.registry.audit import SYSTEM
from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import NewSecret, generate_secret
from keys.identifiers import is_loopback
from watchword.ambient import wall_clock
from watchword.key_store import open_key_store
from watchword.provider.key_ring import ring_policy
from watchword.registry import ADMIN_SCOPES, DEFAULT_SCOPES, open_registry
from watchword.settings import Settings, SettingsError

if TYPE_CHECKING:
    from issuer.administration.declaration.document import DeclarationFile, SentDeclaration
    from issuer.storage.edit import RegistryEdit

CLIENT_ID = "demo"
ADMINISTRATOR_ID = "admin"


def check_dev_host(host: str) -> None:
    """Refuse to show throw-away credentials to a network.

    Raises:
        SettingsError: the host is not loopback.
    """
    if not is_loopback(host):
        raise SettingsError(["--host: --dev serves on loopback only; use 127.0.0.1"])


@contextmanager
def throw_away(
    settings: Settings, *, port: int, secret: str | None
) -> Iterator[tuple[Settings, str]]:
    """Make a data folder with a key, a demo client and an administrator.

    The issuer is this very server unless it was named.

    Args:
        settings: all settings, checked.
        port: where the server listens.
        secret: of both clients; None to make one.

    Yields:
        The settings, and the secret.
    """
    with tempfile.TemporaryDirectory(prefix="watchword-dev-") as folder:
        changes: dict[str, object] = {
            "data_dir": Path(folder),
            "database_url": None,
            "key_store": "files",
            "key_passphrase": None,
            "key_signer": "local",  # a key that is thrown away must not stay in a security module
        }
        if settings.inspector == "auto":
            changes["inspector"] = "on"
        if "issuer" not in settings.model_fields_set:
            changes["issuer"] = f"http://localhost:{port}"
        own = settings.model_copy(update=changes)
        open_key_store(own).generate(alg=own.signing_alg, now=wall_clock(), policy=ring_policy(own))
        secret = secret or generate_secret(secrets.token_bytes)
        _create_clients(own, secret)
        yield own, secret


def _create_clients(settings: Settings, secret: str) -> None:
    new_secret = NewSecret.of(secret, secrets.token_bytes)
    granted = {
        CLIENT_ID: ("Demo", settings.default_resource, DEFAULT_SCOPES),
        ADMINISTRATOR_ID: ("Administrator", settings.administration, ADMIN_SCOPES),
    }

    def create(edit: "RegistryEdit") -> None:
        for client_id, (name, resource, scopes) in granted.items():
            grants = edit.grants_for((resource,), scopes)
            registration = ClientRegistration(client_id=client_id, client_name=name, grants=grants)
            edit.create_client(registration, [new_secret])

    with closing(open_registry(settings, now=wall_clock)) as registry:
        registry.change(create, by=SYSTEM)


def with_secret(declared: "DeclarationFile", secret: str) -> "SentDeclaration":
    """Give every client of a file that has a secret this one; those it refers to are not read.

    So the file of a real installation serves, without its secrets.
    """
    # Loaded by need: it takes as long to load as half of the rest.
    from issuer.administration.declaration.document import read_sent, write_sent

    document = write_sent(declared)
    for client, sent in zip(declared.clients, document["clients"], strict=True):
        if client.token_endpoint_auth_method.sends_secret:
            sent["secrets"] = [{"source": "--dev-secret", "client_secret": secret}]
    return read_sent(document)


def describe(settings: Settings, secret: str, *, given: bool, others: Iterable[str]) -> str:
    """Write the credentials, once, and the first command to try.

    Args:
        settings: those that are served with.
        secret: of the clients.
        given: it was chosen by the caller, and is not shown.
        others: further clients.
    """
    shown, user = ("as given", CLIENT_ID) if given else (secret, f"{CLIENT_ID}:{secret}")
    also = ", ".join((f"{ADMINISTRATOR_ID} (administers the provider)", *others))
    return (
        f"issuer         {settings.issuer}\n"
        f"client_id      {CLIENT_ID}\n"
        f"client_secret  {shown}\n"
        f"same secret    {also}\n\n"
        f"curl -u {user} -d grant_type=client_credentials {settings.issuer}/token\n"
    )
