"""The `watchword keys` commands: make, list, rotate, revoke, delete and export signing keys."""

import shutil
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchword.ambient import wall_clock
from watchword.cli import key_stores
from watchword.cli.options import DURATION, read_duration_option
from watchword.cli.output import CommandFailed, WrongUsage, say
from watchword.cli.printing import TABLE, Form, Output, prints, prints_table
from watchword.cli.progress import still_working
from watchword.cli.registry import YesFlag, record_key_changes, require_yes
from watchword.cli.tables import Column
from watchword.durations import write_duration

if TYPE_CHECKING:
    from collections.abc import Collection

    from keys.lifecycle import PlanOf
    from keys.ring import RingEntry, RingKey, RingPolicy
    from keys.stores.key_file import StoredKey
    from keys.stores.store import Applied
    from watchword.settings import Settings

app = typer.Typer(no_args_is_help=True)

Kid = Annotated[str, typer.Argument(metavar="KID", help="The key, as `keys list` shows it.")]

# A thumbprint may begin with a hyphen, and with -h.
_ANY_KID = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
_FEW_LEFT = 10
_WIDE = 100
_COLUMNS = (
    Column("kid"),
    Column("alg", wide=True),
    Column("bits", wide=True),
    Column("state"),
    Column("signs_from", "time", wide=True),
    Column("encrypted", wide=True),
    Column("next", "words"),
)
_STEPS = {
    "active": ("signs", "signs when rotated"),
    "retiring": ("superseded", "superseded when rotated"),
    "gone": ("gone", ""),
    "deleted": ("can be deleted", "can be deleted"),
}


@app.command()
@prints
def generate(
    alg: Annotated[
        str | None, typer.Option(help="Algorithm; the configured one if left out.")
    ] = None,
    bits: Annotated[
        int | None, typer.Option(help="Size of an RSA key: 2048 (usual), 3072 or 4096.")
    ] = None,
    activate_in: Annotated[
        str | None,
        typer.Option(metavar=DURATION, help="How long until it signs, instead of the rule."),
    ] = None,
    output: Output = TABLE,
) -> None:
    """Make a signing key: the very first signs at once, later ones when every validator knows them.

    Example: watchword keys generate --bits 3072
    """
    from keys.lifecycle import LONGEST_WAIT, plan_generation
    from watchword.provider.key_ring import ring_policy
    from watchword.settings import load_settings

    settings = load_settings()
    chosen = alg or settings.signing_alg
    _check_choice(chosen, bits)
    wait = None
    if activate_in is not None:
        wait = read_duration_option("--activate-in", activate_in, least=0, most=LONGEST_WAIT)
    policy, now = ring_policy(settings), wall_clock()
    (done,) = _change(
        settings,
        lambda ring: plan_generation(ring, now, policy, chosen, activate_in=wait),
        now=now,
        bits=bits,
        output=output,
    )
    _, ring = _read_keys(settings)
    _warn(ring, policy, wait)
    _show(settings, [done.key.kid], now, output=output)


@app.command()
@prints
def rotate(
    alg: Annotated[
        str | None, typer.Option(help="Algorithm; the configured one if left out.")
    ] = None,
    output: Output = TABLE,
) -> None:
    """Have the prepared successor sign as soon as every validator must know it; prepare another.

    Example: watchword keys rotate
    """
    from watchword.settings import load_settings

    settings = load_settings()
    chosen = alg or settings.signing_alg
    _check_choice(chosen, None)
    now = wall_clock()
    done = rotate_key(settings, chosen, now=now, output=output)
    _show(settings, [each.key.kid for each in done], now, output=output)


def rotate_key(settings: "Settings", alg: str, *, now: int, output: Output = TABLE) -> "Applied":
    """Rotate the key of an algorithm; return what was done, to the key that will sign first."""
    from keys.lifecycle import plan_rotation
    from watchword.provider.key_ring import ring_policy

    policy = ring_policy(settings)
    return _change(
        settings, lambda ring: plan_rotation(ring, now, policy, alg), now=now, output=output
    )


@app.command(context_settings=_ANY_KID)
@prints
def revoke(kid: Kid, yes: YesFlag = False, output: Output = TABLE) -> None:
    """Withdraw a key at once, such as one that has leaked; its successor signs in its place.

    Every token that the key has signed is refused as soon as validators look again.

    Example: watchword keys revoke NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs --yes
    """
    from keys.lifecycle import plan_withdrawal
    from watchword.provider.key_ring import ring_policy
    from watchword.settings import load_settings

    settings = load_settings()
    policy = ring_policy(settings)
    plan_withdrawal(_ring_keys(settings), kid, wall_clock(), policy)  # refused before it is asked
    require_yes(f"Revoke the key {kid}, so that every token it signed is refused?", yes=yes)
    now = wall_clock()
    done = _change(
        settings, lambda ring: plan_withdrawal(ring, kid, now, policy), now=now, output=output
    )
    _warn_of_an_empty_set(settings)
    _show(settings, [each.key.kid for each in done], now, output=output)


@app.command(context_settings=_ANY_KID)
@prints
def delete(kid: Kid, yes: YesFlag = False, output: Output = TABLE) -> None:
    """Remove a key that is pending, gone or revoked, with its private key.

    Example: watchword keys delete NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs --yes
    """
    from keys.lifecycle import plan_deletion
    from watchword.provider.key_ring import ring_policy
    from watchword.settings import load_settings

    settings = load_settings()
    policy = ring_policy(settings)
    plan_deletion(_ring_keys(settings), kid, wall_clock(), policy)
    require_yes(f"Delete the key {kid}?", yes=yes)
    now = wall_clock()
    _change(settings, lambda ring: plan_deletion(ring, kid, now, policy), now=now, output=output)
    output.document({"kid": kid, "deleted": True}) if output.is_document else say(f"Deleted {kid}.")


@app.command("list")
@prints_table
def list_keys(output: Output = TABLE) -> None:
    """Show the state and times of every key.

    Example: watchword keys list --json
    """
    from keys.timeline import draw_timeline
    from watchword.provider.key_ring import ring_policy
    from watchword.settings import load_settings

    now = wall_clock()
    settings = load_settings()
    facts = describe_keys(settings, now)
    if output.is_document:
        output.document({"keys": facts})
    elif facts:
        output.table(_COLUMNS, [_in_words(each, now) for each in facts])
        width = shutil.get_terminal_size().columns
        if sys.stdout.isatty() and width >= _WIDE:
            _, ring = _read_keys(settings)
            policy = ring_policy(settings)
            reach = policy.keep + policy.publish_ahead
            sys.stdout.write(draw_timeline(ring, now, width, reach=reach) + "\n")
    else:
        say("There is no key yet; run: watchword keys generate")


@app.command()
def export(
    kid: Annotated[str | None, typer.Option(help="Only this key.")] = None,
    private: Annotated[
        bool, typer.Option("--private", help="The private key of one key, as PKCS#8 PEM.")
    ] = False,
    yes: YesFlag = False,
) -> None:
    """Print the public JWK set, or with --private the PEM of one private key.

    A private key is printed only if the audit trail can say so; on a terminal it is asked first.

    Example: watchword keys export > jwks.json
    """
    from keys.events import KeyEvent
    from keys.jwks import build_jwk_set
    from keys.stores.store import KeyChange
    from watchword.key_store import opened_key_store
    from watchword.provider.key_ring import published_set
    from watchword.settings import load_settings

    settings = load_settings()
    records, ring = _read_keys(settings)
    if kid is not None and kid not in records:
        raise CommandFailed("there is no such key; see: watchword keys list")
    if not private:
        # The set that validators need now, or the one key asked for, whatever its state.
        one = kid and build_jwk_set([records[kid].jwk])
        Output(Form.JSON).document(one or published_set(ring, records))
        return
    if kid is None and not records:
        raise CommandFailed("there is no key yet; run: watchword keys generate")
    if kid is None and len(records) > 1:
        raise WrongUsage("--private exports one key: say which with --kid")
    chosen = kid or next(iter(records))
    with opened_key_store(settings, reading=True) as store:
        pem = store.export_private(chosen).decode()
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        require_yes(f"Print the private key of {chosen}, with which tokens can be made?", yes=yes)
    exported = KeyChange(
        event=KeyEvent.EXPORTED, before=records[chosen].ring_key, after=records[chosen].ring_key
    )
    record_key_changes(settings, [exported], required=True)
    sys.stdout.write(pem)


app.command()(key_stores.move)
app.command()(key_stores.passphrase)


def _change(
    settings: "Settings",
    plan_of: "PlanOf",
    *,
    now: int,
    bits: int | None = None,
    output: Output = TABLE,
) -> "Applied":
    """Change the key store, and say so in the log and the audit trail."""
    from watchword.key_store import opened_key_store
    from watchword.provider.key_ring import ring_policy

    with opened_key_store(settings) as store, still_working(output):
        done = store.apply(plan_of, now=now, policy=ring_policy(settings), bits=bits)
    record_key_changes(settings, done)
    return done


def _show(settings: "Settings", kids: "Collection[str]", now: int, *, output: Output) -> None:
    """Print the keys that a command made or changed: the one as an object, more as a list."""
    from watchword.provider.key_ring import describe_signing_key, ring_policy

    policy = ring_policy(settings)
    records, ring = _read_keys(settings)
    shown = [entry for entry in ring if entry.key.kid in kids]
    facts = [describe_signing_key(each, records[each.key.kid], now, policy) for each in shown]
    if output.is_document:
        output.document(facts[0] if len(kids) == 1 else {"keys": facts})
        return
    for each in facts:
        output.fields(_in_words(each, now))


def _read_keys(settings: "Settings") -> "tuple[dict[str, StoredKey], tuple[RingEntry, ...]]":
    """Return the keys of the store, and their states now."""
    from keys.ring import derive_ring
    from watchword.key_store import opened_key_store
    from watchword.provider.key_ring import ring_policy

    with opened_key_store(settings, reading=True) as store:
        records = {stored.kid: stored for stored in store.records()}
    ring_keys = [each.ring_key for each in records.values()]
    return records, derive_ring(ring_keys, wall_clock(), ring_policy(settings))


def _ring_keys(settings: "Settings") -> "tuple[RingKey, ...]":
    records, _ = _read_keys(settings)
    return tuple(each.ring_key for each in records.values())


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


def _warn_of_an_empty_set(settings: "Settings") -> None:
    """Warn that a withdrawal has no effect yet: the next key could not be made."""
    from keys.ring import published

    _, ring = _read_keys(settings)
    if not published(ring):
        say(
            "warning: no key is published now, and validators that find an empty set keep the one "
            "they have; run: watchword keys generate"
        )


def describe_keys(settings: "Settings", now: int) -> list[dict[str, Any]]:
    """Describe every key: its state and times, and what happens to it next."""
    from watchword.provider.key_ring import describe_signing_key, ring_policy

    records, ring = _read_keys(settings)
    policy = ring_policy(settings)
    return [describe_signing_key(each, records[each.key.kid], now, policy) for each in ring]


def _in_words(facts: "dict[str, Any]", now: int) -> "dict[str, Any]":
    is_local = facts["signer"] == "local"  # no other private key is in the store
    encrypted = ("yes" if facts["encrypted"] else "no") if is_local else None
    return facts | {"encrypted": encrypted, "next": write_next_step(facts["next"], now)}


def write_next_step(step: "dict[str, Any]", now: int) -> str:
    """Say what happens to a key next, and in how long; nothing if it takes no time and command.

    Args:
        step: the member `next` of a described key.
        now: seconds since the epoch.
    """
    from datetime import datetime

    words, undated = _STEPS[step["state"]]
    if step["at"] is None:
        return undated
    left = max(int(datetime.fromisoformat(step["at"]).timestamp()) - now, 0)
    return f"{words} in {write_duration(left)}"
