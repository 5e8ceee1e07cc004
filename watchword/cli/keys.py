"""The `watchword keys` commands: generate, list and export signing keys."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchword.cli.output import (
    CommandFailed,
    JsonFlag,
    WrongUsage,
    print_fields,
    print_json,
    print_table,
    rfc3339,
    say,
)
from watchword.clock import wall_clock

if TYPE_CHECKING:
    from keys.ring import RingEntry, RingPolicy
    from keys.stores.key_file import StoredKey
    from keys.stores.store import KeyStore

app = typer.Typer(no_args_is_help=True)

_ONE_YEAR = 31_536_000
_FEW_LEFT = 10


@app.command()
def generate(
    alg: Annotated[
        str | None, typer.Option(help="Algorithm; the configured one if left out.")
    ] = None,
    bits: Annotated[
        int | None, typer.Option(help="Size of an RSA key: 2048 (usual), 3072 or 4096.")
    ] = None,
    activate_in: Annotated[
        int | None,
        typer.Option(min=0, max=_ONE_YEAR, help="Seconds until it signs, instead of the rule."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a signing key: the very first signs at once, later ones when every validator knows them.

    Example: watchword keys generate --bits 3072
    """
    from keys.ring import derive_ring
    from watchword.provider.key_ring import open_key_store, ring_policy
    from watchword.settings import load_settings

    settings = load_settings()
    chosen = alg or settings.signing_alg
    _check_choice(chosen, bits)
    store, policy, now = open_key_store(settings), ring_policy(settings), wall_clock()
    stored = store.generate(alg=chosen, bits=bits, now=now, policy=policy, activate_in=activate_in)
    ring = derive_ring([each.ring_key for each in store.records()], now, policy)
    entry = next(each for each in ring if each.key.kid == stored.kid)
    _warn(ring, policy, activate_in)
    facts = _describe(entry, stored)
    print_json(facts) if as_json else print_fields(facts)


@app.command("list")
def list_keys(as_json: JsonFlag = False) -> None:
    """Show the state and times of every key.

    Example: watchword keys list --json
    """
    _, records, ring, _ = _read_keys()
    facts = [_describe(entry, records[entry.key.kid]) for entry in ring]
    if as_json:
        print_json({"keys": facts})
    elif facts:
        print_table(list(facts[0]), (list(each.values()) for each in facts))
    else:
        say("There is no key yet; run: watchword keys generate")


@app.command()
def export(
    kid: Annotated[str | None, typer.Option(help="Only this key.")] = None,
    private: Annotated[
        bool, typer.Option("--private", help="The private key of one key, as PKCS#8 PEM.")
    ] = False,
) -> None:
    """Print the public JWK set, or with --private the PEM of one private key.

    Example: watchword keys export > jwks.json
    """
    from keys.jwks import build_jwk_set
    from watchword.provider.key_ring import published_set

    store, records, ring, _ = _read_keys()
    if kid is not None and kid not in records:
        raise CommandFailed("there is no such key; see: watchword keys list")
    if not private:
        # The set that validators need now, or the one key asked for, whatever its state.
        one = kid and build_jwk_set([records[kid].jwk])
        print_json(one or published_set(ring, records))
        return
    if kid is None and not records:
        raise CommandFailed("there is no key yet; run: watchword keys generate")
    if kid is None and len(records) > 1:
        raise WrongUsage("--private exports one key: say which with --kid")
    sys.stdout.write(store.export_private(kid or next(iter(records))).decode())


def _read_keys() -> "tuple[KeyStore, dict[str, StoredKey], tuple[RingEntry, ...], RingPolicy]":
    """Return the store that the settings name, and its keys with their states now."""
    from keys.ring import derive_ring
    from watchword.provider.key_ring import open_key_store, ring_policy
    from watchword.settings import load_settings

    settings = load_settings()
    store, policy = open_key_store(settings), ring_policy(settings)
    records = {stored.kid: stored for stored in store.records()}
    ring = derive_ring([each.ring_key for each in records.values()], wall_clock(), policy)
    return store, records, ring, policy


def _check_choice(alg: str, bits: int | None) -> None:
    from keys.errors import UnknownAlgorithm
    from keys.key_types import KEY_TYPES, algorithm

    try:
        sizes = KEY_TYPES[algorithm(alg).kty].sizes
    except UnknownAlgorithm as error:
        raise WrongUsage(f"--alg: {error}") from error
    if bits is not None and not sizes:
        raise WrongUsage(f"--bits: a key for {alg} has one size; leave the option out")
    if bits is not None and bits not in sizes:
        raise WrongUsage("--bits: choose " + ", ".join(map(str, sizes)))


def _warn(ring: "tuple[RingEntry, ...]", policy: "RingPolicy", activate_in: int | None) -> None:
    """Warn of a key that signs too early for validators, and of too many for them."""
    from keys.jwks import MAXIMUM_KEYS
    from keys.ring import published

    if activate_in is not None and len(ring) == 1:
        say("warning: --activate-in is without effect: the very first key signs at once")
    elif activate_in is not None and activate_in < policy.publish_ahead:
        say(
            f"warning: validators may not know the key yet when it signs; "
            f"{policy.publish_ahead} seconds are safe"
        )
    count = len(published(ring))
    if MAXIMUM_KEYS - count <= _FEW_LEFT:
        say(
            f"warning: {count} keys are published, and validators take no more than "
            f"{MAXIMUM_KEYS}; see: watchword keys list"
        )


def _describe(entry: "RingEntry", stored: "StoredKey") -> dict[str, Any]:
    return {
        "kid": stored.kid,
        "alg": stored.jwk.alg,
        "bits": stored.bits,
        "state": entry.state.value,
        "published_at": rfc3339(entry.key.published_at),
        "signs_from": rfc3339(entry.key.signs_from),
        "superseded_at": rfc3339(entry.superseded_at),
        "gone_at": rfc3339(entry.gone_at),
    }
