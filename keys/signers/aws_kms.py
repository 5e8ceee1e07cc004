"""Keys in AWS KMS, through boto3, which takes region, endpoint and credentials from its own
environment and files.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from keys.errors import KeyStoreError, SignerUnavailable
from keys.events import EventSink
from keys.key_types import CURVE_OCTETS, algorithm
from keys.signers.local import Signer
from keys.signers.outside import (
    CHECK_SECONDS,
    RSA_BITS,
    SIGN_SECONDS,
    OutsideSigner,
    WaitingThreads,
    check_algorithm,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from keys.stores.key_file import StoredKey

KIND = "aws-kms"

THREADS = 8
"""Signatures that a process waits for at once; with 20 ms each, 400 a second."""

DELETION_DAYS = 7
"""Until KMS destroys a key, during which that can be cancelled; the least that KMS takes."""

_HASHES = {"256": "SHA_256", "384": "SHA_384", "512": "SHA_512"}
_SCHEMES = {"RS": "RSASSA_PKCS1_V1_5", "PS": "RSASSA_PSS", "ES": "ECDSA"}
_CURVES = {"P-256": "ECC_NIST_P256", "P-384": "ECC_NIST_P384", "P-521": "ECC_NIST_P521"}
_GONE = ("NotFoundException", "KMSInvalidStateException")

_Result = TypeVar("_Result")


class AwsKmsHolder:
    """Keeps keys in AWS KMS.

    Args:
        events: see `OutsideSigner`.

    Raises:
        KeyStoreError: boto3 is not installed.
    """

    kind = KIND

    def __init__(self, events: EventSink) -> None:
        try:
            import boto3
            from botocore import config, exceptions, parsers
        except ImportError:
            raise KeyStoreError(
                "WATCHWORD_KEY_SIGNER=aws-kms needs boto3; install watchword[aws]"
            ) from None
        self._events = events
        self._threads = WaitingThreads(THREADS)
        self._errors = exceptions.BotoCoreError, exceptions.ClientError
        # What an answer raises that is none of KMS, as of a proxy in between.
        self._unreadable = parsers.ResponseParserError, KeyError, ValueError
        self._new_client: Callable[[], Any] = lambda: boto3.session.Session().client(
            "kms",
            config=config.Config(
                connect_timeout=SIGN_SECONDS,
                read_timeout=CHECK_SECONDS,  # making a key takes longer than signing
                retries={"mode": "standard", "total_max_attempts": 2},
                max_pool_connections=THREADS,
            ),
        )
        self._opening = Lock()
        self._client: Any = None

    def generate(
        self, alg: str, bits: int | None, name: str
    ) -> "tuple[PublicKeyTypes, dict[str, str]]":
        """Make a key pair; see `KeyHolder`."""
        check_algorithm("AWS KMS", alg)
        curve = algorithm(alg).curve
        spec = f"RSA_{bits or RSA_BITS}" if curve is None else _CURVES[curve]

        def make(kms: Any) -> "tuple[PublicKeyTypes, str]":  # noqa: ANN401 - boto3 has no types
            made = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY", Description=name)
            key_id = made["KeyMetadata"]["Arn"]
            return load_der_public_key(kms.get_public_key(KeyId=key_id)["PublicKey"]), key_id

        public_key, key_id = self._call(make)
        return public_key, {"kind": KIND, "key_id": key_id}

    def signer(self, stored: "StoredKey") -> Signer:
        """Return the signer of a key in KMS; see `KeyHolder`."""
        sign_now = partial(self._sign, _key_id(stored.reference or {}), stored.jwk.alg)
        return OutsideSigner(stored, sign_now, self._threads, self._events)

    def delete(self, reference: Mapping[str, str]) -> None:
        """Have a key destroyed when `DELETION_DAYS` are over; see `KeyHolder`."""
        from botocore.exceptions import ClientError

        key_id = _key_id(reference)

        def schedule(kms: Any) -> None:  # noqa: ANN401
            try:
                kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=DELETION_DAYS)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _GONE:
                    raise

        self._call(schedule)

    def _sign(self, key_id: str, alg: str, signing_input: bytes) -> bytes:
        scheme, size = alg[:2], alg[2:]
        digest = hashlib.new(f"sha{size}", signing_input).digest()
        answer = self._do(
            lambda kms: kms.sign(
                KeyId=key_id,
                Message=digest,
                MessageType="DIGEST",
                SigningAlgorithm=f"{_SCHEMES[scheme]}_{_HASHES[size]}",
            )
        )
        signature = bytes(answer["Signature"])
        return signature if scheme != "ES" else _raw(signature, alg)

    def _call(self, work: Callable[[Any], _Result]) -> _Result:
        return self._threads.call(lambda: self._do(work))

    def _do(self, work: Callable[[Any], _Result]) -> _Result:
        """Do work with the client, on one of the threads."""
        try:
            with self._opening:  # making a client is slow, and not safe on several threads
                self._client = self._client or self._new_client()
            return work(self._client)
        except self._errors as error:
            words = " ".join(str(error).split())
            raise SignerUnavailable(f"AWS KMS cannot be used: {words}") from error
        except self._unreadable as error:
            raise SignerUnavailable("AWS KMS gave an answer that cannot be read") from error


def _raw(signature: bytes, alg: str) -> bytes:
    """Turn a DER signature into r and s, each as wide as the curve (RFC 7518 §3.4)."""
    width = CURVE_OCTETS[algorithm(alg).curve or ""]
    try:
        return b"".join(number.to_bytes(width) for number in decode_dss_signature(signature))
    except (ValueError, OverflowError):
        raise SignerUnavailable("AWS KMS gave what is no ECDSA signature") from None


def _key_id(reference: Mapping[str, str]) -> str:
    try:
        return reference["key_id"]
    except KeyError:
        raise KeyStoreError("a key file refers to an AWS KMS key without its id") from None
