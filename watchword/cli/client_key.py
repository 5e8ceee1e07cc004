"""Options that make a key pair for a client: a private key in a file, a public one in `jwks`."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchword.cli.output import CommandFailed, Mistakes, say

if TYPE_CHECKING:
    from issuer.registry.schema import Json

DEFAULT_ALG = "ES256"
_ON_OUTPUT = "-"
_FILE_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
_USUAL_ALGORITHMS = ("RS256", "ES256", "Ed25519")
"""What the consumer signs with if its key alone is named."""


@dataclass(frozen=True, kw_only=True)
class KeyOptions:
    """Options that make a key pair, as typed."""

    generate_key: Annotated[
        bool,
        typer.Option(
            "--generate-key",
            help="Make a key pair for private_key_jwt: the private key goes to a new file, the"
            " public one into jwks, beside those there.",
        ),
    ] = False
    key_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Where the private key goes; ID.pem if left out, - for standard output.",
        ),
    ] = None
    key_alg: Annotated[
        str | None,
        typer.Option(
            metavar="ALG", help=f"What it signs with: {DEFAULT_ALG} (the default), Ed25519, …"
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class KeyChanges(KeyOptions):
    """Options that make another key pair for a client that exists already, as typed."""

    replace_keys: Annotated[
        bool, typer.Option("--replace-keys", help="The new key is the only one; old ones end.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key pair whose private half is nowhere yet.

    Args:
        jwk: the public key.
        pem: the private key, unencrypted PKCS#8; its repr would be a secret.
        file: where that goes; None for standard output.
    """

    jwk: dict[str, str]
    pem: bytes
    file: Path | None

    def __repr__(self) -> str:
        """Show the name of the key, not the key."""
        return f"NewKey(kid={self.jwk['kid']!r}, file={self.file!r})"


def make_key(
    options: KeyOptions, client_id: str, members: "Json", mistakes: Mistakes, *, documents: bool
) -> NewKey | None:
    """Make the key pair that the options ask for; None if they ask for none or are mistakes.

    Args:
        options: as typed.
        client_id: whose key it is.
        members: what else was typed of the client.
        mistakes: gets what is wrong.
        documents: whether standard output is to have one document and nothing else.
    """
    if not options.generate_key:
        given = {
            "--key-file": options.key_file,
            "--key-alg": options.key_alg,
            "--replace-keys": isinstance(options, KeyChanges) and options.replace_keys,
        }
        mistakes.add(*(f"{name}: only with --generate-key" for name, it in given.items() if it))
        return None
    mistakes.exclude(
        "--generate-key",
        [("--jwks", members.get("jwks")), ("--jwks-uri", members.get("jwks_uri"))],
    )
    alg = _algorithm(options, members, mistakes)
    if options.key_file is None and not _FILE_NAME.fullmatch(client_id):
        mistakes.add("--key-file: name a file; this id cannot be the name of one")
    if options.key_file == _ON_OUTPUT and documents:
        mistakes.add("--key-file -: not with --json or --yaml, which print one document alone")
    if mistakes or alg is None:
        return None
    from keys.jwk import public_jwk
    from keys.key_types import generate_private_key
    from keys.stores.key_file import render_private_pem

    private = generate_private_key(alg)
    name = options.key_file or f"{client_id}.pem"
    return NewKey(
        jwk=public_jwk(private, alg).members(),
        pem=render_private_pem(private),
        file=None if name == _ON_OUTPUT else Path(name),
    )


def _algorithm(options: KeyOptions, members: "Json", mistakes: Mistakes) -> str | None:
    from issuer.registry.auth_methods import check_signing_alg

    # The client's one algorithm, if it is typed as well, is that of its new key.
    alg = options.key_alg or members.get("token_endpoint_auth_signing_alg") or DEFAULT_ALG
    checked = None
    with mistakes.of("--key-alg"):
        checked = check_signing_alg(alg)
    return checked


@contextmanager
def written(key: NewKey | None) -> Iterator[None]:
    """Write the private key to its file, while the client is registered with the public one.

    Raises:
        CommandFailed: the file is there already or cannot be written; nothing was registered.
    """
    if key is None or key.file is None:
        yield
        return
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(key.file, flags, 0o600), "wb") as file:
            file.write(key.pem)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise CommandFailed(f"{key.file} exists already; name another with --key-file") from None
    except OSError as error:
        why = (error.strerror or "input/output error").lower()
        raise CommandFailed(f"{key.file} cannot be written: {why}") from None
    try:
        yield
    except BaseException:
        key.file.unlink(missing_ok=True)  # no client has it
        raise


def print_key(key: NewKey | None, client_id: str) -> None:
    """Say where the private key is, and how a consumer uses it; print the key itself if asked."""
    if key is None:
        return
    alg = key.jwk["alg"]
    named = "" if alg in _USUAL_ALGORITHMS else f', alg="{alg}"'
    if key.file is None:
        sys.stdout.write(key.pem.decode("ascii"))
        say("Keep the private key now: it is not shown again.")
    else:
        say(f"The private key is in {key.file}, which only you can read; no copy of it is kept.")
    file = "FILE" if key.file is None else str(key.file)
    say(f'In the consumer: PrivateKeyJwt("{client_id}", Path("{file}"){named})')
