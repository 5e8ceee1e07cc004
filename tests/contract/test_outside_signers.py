"""Contract of `KeyHolder`: the same tests over a real SoftHSM2 and a KMS that signs for real."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from keys.errors import KeyStoreError, SignerUnavailable
from keys.events import EventSink, KeyEvent, ignore_event
from keys.jwk import PublicJwk, public_jwk
from keys.key_types import verifier
from keys.lifecycle import PlanOf, plan_rotation, plan_upkeep, plan_withdrawal
from keys.ring import RingPolicy, derive_ring, signing_keys
from keys.signers import pkcs11
from keys.signers.aws_kms import AwsKmsHolder
from keys.signers.local import Signer
from keys.signers.outside import SIGN_SECONDS, KeyHolder
from keys.stores.folder import KeyFolder
from keys.stores.store import KeyStore
from tests.support.keys import rsa_key
from tests.support.kms import kms_server
from tests.support.provider import free_port
from tests.support.softhsm import PIN, SoftHsm

POLICY = RingPolicy()
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
)  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """What a holder is shown of a stored key."""

    jwk: PublicJwk
    reference: dict[str, str]

    @property
    def kid(self) -> str:
        """Return the key's identifier."""
        return self.jwk.kid


@pytest.fixture
def hsm(softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    """Give the module to a test that has not logged in yet."""
    for name, value in softhsm.environment.items():
        monkeypatch.setenv(name, value)
    pkcs11.open_token.cache_clear()
    return softhsm


@pytest.fixture(scope="session")
def kms() -> Iterator[dict[str, str]]:
    """Give the environment of a KMS."""
    with kms_server() as environment:
        yield environment


@pytest.fixture
def kms_holder(kms: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> KeyHolder:
    """Give the holder of keys in KMS."""
    for name, value in kms.items():
        monkeypatch.setenv(name, value)
    return AwsKmsHolder(ignore_event)


@pytest.fixture(params=["pkcs11", "aws-kms"])
def holder(request: pytest.FixtureRequest) -> KeyHolder:
    """Give a holder of each kind."""
    if request.param == "pkcs11":
        hsm: SoftHsm = request.getfixturevalue("hsm")
        return pkcs11_holder(hsm, module=hsm.direct_module)  # p11-kit passes no PSS parameters on
    made: KeyHolder = request.getfixturevalue("kms_holder")
    return made


def pkcs11_holder(hsm: SoftHsm, events: EventSink = ignore_event, **changed: str) -> KeyHolder:
    """Open the token, with something changed."""
    given = {"module": hsm.module, "token": hsm.label, "pin": PIN} | changed
    return pkcs11.Pkcs11Holder(**given, events=events)


def generate(holder: KeyHolder, alg: str = "RS256") -> Kept:
    """Make a key."""
    public_key, reference = holder.generate(alg, 2048, f"test-{os.urandom(4).hex()}")
    return Kept(public_jwk(public_key, alg), reference)


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_key_made_outside_signs_for_its_algorithm(holder: KeyHolder, alg: str) -> None:
    """The raw JWS signature is the one that every validator expects (RFC 7518 §3.3-3.5)."""
    kept = generate(holder, alg)
    signer = holder.signer(kept)  # type: ignore[arg-type]
    signature = await signer.sign(b"header.payload")
    assert (signer.kid, signer.alg) == (kept.kid, alg)
    assert verifier(alg).verify(b"header.payload", kept.jwk.key, signature)
    assert kept.reference["kind"] == holder.kind


@pytest.mark.parametrize("alg", ["EdDSA", "ML-DSA-44"])
def test_an_algorithm_that_is_not_offered_is_refused_in_one_line(
    holder: KeyHolder, alg: str
) -> None:
    """The message lists what there is."""
    with pytest.raises(KeyStoreError, match=rf"makes no {alg} keys; .*RS256, .*ES512"):
        generate(holder, alg)


async def test_a_signature_of_another_key_is_never_used(holder: KeyHolder) -> None:
    """The reference of a stored key may be damaged, or the key behind it replaced."""
    one, other = generate(holder), generate(holder)
    signer = holder.signer(Kept(one.jwk, other.reference))  # type: ignore[arg-type]
    with pytest.raises(SignerUnavailable, match="does not verify"):
        await signer.sign(b"header.payload")


async def test_a_key_that_was_deleted_in_the_token_signs_no_more(hsm: SoftHsm) -> None:
    """Deleting twice is no error, for the first answer may have been lost."""
    holder = pkcs11_holder(hsm)
    kept = generate(holder)
    signer = holder.signer(kept)  # type: ignore[arg-type]
    for _ in range(2):
        holder.delete(kept.reference)
    with pytest.raises(SignerUnavailable):
        await signer.sign(b"header.payload")
    with pytest.raises(KeyStoreError, match="has no private key"):
        signer.check()  # type: ignore[attr-defined]


def test_a_key_that_was_deleted_in_kms_waits_for_its_destruction(kms_holder: KeyHolder) -> None:
    """KMS destroys no key at once; deleting twice, or what is not there, is no error."""
    import boto3

    kept = generate(kms_holder)
    for _ in range(2):
        kms_holder.delete(kept.reference)
    described = boto3.client("kms").describe_key(KeyId=kept.reference["key_id"])
    assert described["KeyMetadata"]["KeyState"] == "PendingDeletion"
    kms_holder.delete({"kind": "aws-kms", "key_id": "00000000-0000-0000-0000-000000000000"})


async def test_a_kms_that_does_not_answer_is_unavailable(
    kms_holder: KeyHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused connections are one line, and no token."""
    kept = generate(kms_holder)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(KeyStoreError, match="AWS KMS cannot be used: Could not connect"):
        AwsKmsHolder(ignore_event).signer(kept).check()  # type: ignore[arg-type,attr-defined]


@pytest.mark.parametrize("body", [b"<html></html>", b"{}", b'{"KeyMetadata":{}}'])
def test_a_kms_whose_answer_is_none_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, kms: dict[str, str], body: bytes
) -> None:
    """Such as the page of a proxy: one line, for a new key and for a signature."""

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
        for name, value in (kms | address).items():
            monkeypatch.setenv(name, value)
        holder = AwsKmsHolder(ignore_event)
        kept = Kept(public_jwk(rsa_key().public_key(), "RS256"), {"kind": "aws-kms", "key_id": "1"})
        with pytest.raises(KeyStoreError, match="AWS KMS gave an answer that cannot be read"):
            generate(holder)
        with pytest.raises(KeyStoreError, match=r"cannot be read|failed"):
            holder.signer(kept).check()  # type: ignore[arg-type,attr-defined]
        server.shutdown()


def test_a_reference_without_what_it_needs_is_refused(holder: KeyHolder) -> None:
    """One line, as for every damaged key file."""
    kept = Kept(generate(holder).jwk, {"kind": holder.kind})
    with pytest.raises(KeyStoreError, match="a key file refers to"):
        holder.signer(kept)  # type: ignore[arg-type]


async def test_rotation_and_withdrawal_with_keys_outside(holder: KeyHolder, tmp_path: Path) -> None:
    """The folder holds no private key; the successor that a withdrawal calls up signs at once."""
    store = KeyStore(KeyFolder(tmp_path / "keys"), holder=holder)
    first = store.generate(alg="ES256", now=1_000, policy=POLICY)
    change(store, 1_000, lambda ring: plan_upkeep(ring, 1_000, POLICY, {"ES256"}))
    change(store, 2_000, lambda ring: plan_rotation(ring, 2_000, POLICY, "ES256"))
    second = signing(store, 3_000)
    assert second != first.kid
    change(store, 3_100, lambda ring: plan_withdrawal(ring, second, 3_100, POLICY))
    third = signing(store, 3_100)
    assert third not in (first.kid, second)
    assert await store.signer(third).sign(b"header.payload")
    assert b"PRIVATE KEY" not in b"".join(each.read_bytes() for each in tmp_path.rglob("*.pem"))


async def test_a_withdrawal_does_not_wait_for_the_module(hsm: SoftHsm, tmp_path: Path) -> None:
    """A leaked key is withdrawn, and its successor signs, though no further key can be made."""
    store = KeyStore(KeyFolder(tmp_path / "keys"), holder=pkcs11_holder(hsm))
    leaked = store.generate(alg="RS256", now=1_000, policy=POLICY)
    change(store, 1_000, lambda ring: plan_upkeep(ring, 1_000, POLICY, {"RS256"}))
    hsm.take_away()
    try:
        change(store, 3_000, lambda ring: plan_withdrawal(ring, leaked.kid, 3_000, POLICY))
    finally:
        hsm.bring_back()
    states = {each.kid: each.ring_key for each in store.records()}
    assert len(states) == 2
    assert states[leaked.kid].withdrawn_at == 3_000
    assert signing(store, 3_000) != leaked.kid


def change(store: KeyStore, now: int, plan_of: PlanOf) -> None:
    """Carry out a plan."""
    assert store.apply(plan_of, now=now, policy=POLICY)


def signing(store: KeyStore, now: int) -> str:
    """Return the kid that signs."""
    ring = derive_ring([each.ring_key for each in store.records()], now, POLICY)
    (key,) = signing_keys(ring).values()
    return key.kid


async def test_signing_goes_on_after_the_connection_was_lost(hsm: SoftHsm) -> None:
    """The module is initialized and logged in to anew; the request that finds out succeeds."""
    holder = pkcs11_holder(hsm)
    signer = holder.signer(generate(holder))  # type: ignore[arg-type]
    await asyncio.sleep(1.0)  # PAUSE_SECONDS after the first log-in
    hsm.drop_connections()
    assert await signer.sign(b"header.payload")


async def test_a_token_that_was_taken_out_is_missed_and_found_again(hsm: SoftHsm) -> None:
    """The failure and its end are one event each, however many requests meet it."""
    seen: list[tuple[str, object]] = []
    holder = pkcs11_holder(hsm, lambda event, **fields: seen.append((event, fields.get("reason"))))
    signer = holder.signer(generate(holder))  # type: ignore[arg-type]
    hsm.take_away()
    try:
        for _ in range(3):
            with pytest.raises(SignerUnavailable):
                await signer.sign(b"header.payload")
    finally:
        hsm.bring_back()
    assert await _eventually_signs(signer)
    assert [event for event, _ in seen] == [KeyEvent.SIGNER_UNAVAILABLE, KeyEvent.SIGNER_AVAILABLE]
    assert PIN not in repr(seen)


async def test_a_stalled_module_is_given_up_and_the_event_loop_stays_free(hsm: SoftHsm) -> None:
    """Every request is refused in time; afterwards the module signs as before."""
    holder = pkcs11_holder(hsm)
    signer = holder.signer(generate(holder))  # type: ignore[arg-type]
    hsm.stall()
    try:
        turns = 0
        waiting = [asyncio.ensure_future(signer.sign(b"header.payload")) for _ in range(100)]
        async with asyncio.timeout(SIGN_SECONDS * 10):
            while not all(each.done() for each in waiting):
                await asyncio.sleep(0.01)
                turns += 1
    finally:
        hsm.resume()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, SignerUnavailable) for each in outcomes)
    assert {str(each) for each in outcomes} == {
        "the signer gave no answer within 2 seconds",
        "64 requests wait for the signer already",
    }
    assert turns > 10  # of some 200 on an idle machine, and none on a loop that waits itself
    assert await _eventually_signs(signer)


def test_a_wrong_pin_is_tried_once_and_shown_nowhere(hsm: SoftHsm) -> None:
    """A module locks its token after a few wrong ones."""
    holder = pkcs11_holder(hsm, pin="wrong-4711")
    for _ in range(5):
        with pytest.raises(
            KeyStoreError, match=r"refused the PIN .*WATCHWORD_PKCS11_PIN"
        ) as caught:
            holder.generate("RS256", 2048, "name")
        assert "wrong-4711" not in str(caught.value)
    assert "wrong-4711" not in repr(vars(holder))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"token": "no-such-token"},
            "token 'no-such-token', cannot be used: NoSuchToken",
        ),
        ({"module": "/nowhere/module.so"}, "cannot be used: .*/nowhere/module.so"),
    ],
)
def test_what_cannot_be_opened_is_named_in_one_line(
    hsm: SoftHsm, changed: dict[str, str], words: str
) -> None:
    """The module and the token are settings, so they are named."""
    with pytest.raises(KeyStoreError, match=words) as caught:
        generate(pkcs11_holder(hsm, **changed))
    assert "\n" not in str(caught.value)


async def _eventually_signs(signer: Signer) -> bool:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            return bool(await signer.sign(b"header.payload"))
        except SignerUnavailable:
            await asyncio.sleep(0.05)
    return False


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages are optional; the message names the extra."""
    pkcs11._pkcs11.cache_clear()
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(KeyStoreError, match=r"install watchword\[hsm\]"):
        pkcs11.Pkcs11Holder("module", "token", "pin", ignore_event)
    with pytest.raises(KeyStoreError, match=r"install watchword\[aws\]"):
        AwsKmsHolder(ignore_event)
