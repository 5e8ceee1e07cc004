"""`serve --dev`: everything that a first try needs, made at start and thrown away at the end."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from issuer.registry.audit import SYSTEM
from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import (
    NewSecret,
    generate_secret,
    hash_secret,
)
from keys.identifiers import is_loopback
from watchword.clock import wall_clock
from watchword.key_store import open_key_store
from watchword.provider.key_ring import ring_policy
from watchword.registry import DEFAULT_SCOPES, open_registry
from watchword.settings import Settings, SettingsError

CLIENT_ID = "demo"


def check_dev_host(host: str) -> None:
    """Refuse to show throw-away credentials to a network.

    Raises:
        SettingsError: the host is not loopback.
    """
    if not is_loopback(host):
        raise SettingsError(["--host: --dev serves on loopback only; use 127.0.0.1"])


@contextmanager
def throw_away(settings: Settings, *, port: int) -> Iterator[tuple[Settings, str]]:
    """Make a data folder with a key and a demo client; yields the settings and the secret.

    The issuer is this very server unless it was named.
    """
    with tempfile.TemporaryDirectory(prefix="watchword-dev-") as folder:
        changes: dict[str, object] = {
            "data_dir": Path(folder),
            "database_url": None,
            "key_store": "files",
            "key_passphrase": None,
            "key_signer": "local",  # a key that is thrown away must not stay in a security module
        }
        if "issuer" not in settings.model_fields_set:
            changes["issuer"] = f"http://localhost:{port}"
        own = settings.model_copy(update=changes)
        open_key_store(own).generate(alg=own.signing_alg, now=wall_clock(), policy=ring_policy(own))
        yield own, _create_demo_client(own)


def _create_demo_client(settings: Settings) -> str:
    secret = generate_secret(secrets.token_bytes)
    hashed = hash_secret(secret, secrets.token_bytes)
    registry = open_registry(settings, now=wall_clock)
    try:
        registry.change(
            lambda edit: edit.create_client(
                ClientRegistration(
                    client_id=CLIENT_ID,
                    client_name="Demo",
                    grants=edit.grants_for((settings.default_resource,), DEFAULT_SCOPES),
                ),
                [NewSecret(hash=hashed)],
            ),
            by=SYSTEM,
        )
    finally:
        registry.close()
    return secret


def describe(settings: Settings, secret: str) -> str:
    """Write the credentials, once, and the first command to try."""
    return (
        f"issuer         {settings.issuer}\n"
        f"client_id      {CLIENT_ID}\n"
        f"client_secret  {secret}\n\n"
        f"curl -u {CLIENT_ID}:{secret} -d grant_type=client_credentials {settings.issuer}/token\n"
    )
