"""Keys in a security module, over PKCS#11 (v2.40; sections are those of its base specification).

The library initializes a module for one thread (§5.4), and a module is initialized once in a
process, so one thread makes all calls to it, in one session for each token. A worker thus makes one
signature at a time; several workers make several.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.hazmat.primitives.serialization import load_der_public_key

from keys.errors import KeyStoreError, SignerUnavailable
from keys.events import EventSink
from keys.key_types import algorithm
from keys.signers.local import Signer
from keys.signers.outside import RSA_BITS, OutsideSigner, WaitingThreads, check_algorithm

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from keys.stores.key_file import StoredKey

KIND = "pkcs11"

PAUSE_SECONDS = 1.0
"""Between two attempts to log in, so that requests during an outage do not cause one each."""

_HASHES = {"256": "SHA256", "384": "SHA384", "512": "SHA512"}
_CURVES = {"P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1"}
# What a refused PIN looks like. Modules lock a token after a few, so no second attempt is made.
_PIN_REFUSALS = ("PinExpired", "PinIncorrect", "PinInvalid", "PinLenRange", "PinLocked")

_Result = TypeVar("_Result")


class Pkcs11Holder:
    """Keeps keys in one token of a security module.

    Args:
        module: path of the vendor's PKCS#11 library.
        token: label of the token.
        pin: of the token's user.
        events: see `OutsideSigner`.

    Raises:
        KeyStoreError: python-pkcs11 is not installed.
    """

    kind = KIND

    def __init__(self, module: str, token: str, pin: str, events: EventSink) -> None:
        _pkcs11()
        self._token = open_token(module, token, pin)
        self._events = events

    def generate(
        self, alg: str, bits: int | None, name: str
    ) -> "tuple[PublicKeyTypes, dict[str, str]]":
        """Make a key pair; see `KeyHolder`."""
        check_algorithm("the PKCS#11 signer", alg)
        public_key = self._token.call(partial(_generate, alg=alg, bits=bits, label=name))
        return load_der_public_key(public_key), {"kind": KIND, "label": name}

    def signer(self, stored: "StoredKey") -> Signer:
        """Return the signer of a key in the token; see `KeyHolder`."""
        sign_now = partial(self._token.sign, _label(stored.reference or {}), stored.jwk.alg)
        return OutsideSigner(stored, sign_now, self._token.threads, self._events)

    def delete(self, reference: Mapping[str, str]) -> None:
        """Destroy a key pair; see `KeyHolder`."""
        label = _label(reference)

        def destroy(session: Any) -> None:  # noqa: ANN401 - the library is imported lazily
            _require_session(session)
            for found in list(session.get_objects({_pkcs11().Attribute.LABEL: label})):
                found.destroy()
            self._token.forget(label)

        self._token.call(destroy)


class _Token:
    """A token and the session in it, which is opened anew when it was lost.

    All methods but `call` run on the thread of the module.
    """

    def __init__(self, module: str, label: str, pin: str) -> None:
        self.threads = _thread(module)
        self._module = module
        self._label = label
        self._pin = pin
        self._session: Any = None
        self._keys: dict[str, Any] = {}
        self._refusal: str | None = None
        self._next_attempt = 0.0

    def call(self, work: Callable[[Any], _Result]) -> _Result:
        """Do work with the session, on the thread of the module; see `WaitingThreads.call`."""
        return self.threads.call(lambda: self._do(work))

    def sign(self, label: str, alg: str, signing_input: bytes) -> bytes:
        """Return the raw JWS signature."""
        return self._do(lambda session: _sign(self.key(session, label), alg, signing_input))

    def key(self, session: Any, label: str) -> Any:  # noqa: ANN401
        """Return the private key of this label, looked up once a session."""
        if label not in self._keys:
            _require_session(session)
            try:
                self._keys[label] = session.get_key(
                    object_class=_pkcs11().ObjectClass.PRIVATE_KEY, label=label
                )
            except _pkcs11().NoSuchKey:
                raise SignerUnavailable(
                    f"the token {self._label!r} has no private key {label!r}; restore it there, "
                    "or: watchword keys revoke"
                ) from None
        return self._keys[label]

    def _do(self, work: Callable[[Any], _Result]) -> _Result:
        """Do work with the session; if that fails, once more with a new one."""
        try:
            if self._session is not None:
                return work(self._session)
        except _pkcs11().PKCS11Error as error:
            # The session was closed, the token was taken out, the device was restarted …
            if time.monotonic() < self._next_attempt:
                raise self._unavailable(error) from error
        try:
            return work(self._connect())
        except _pkcs11().PKCS11Error as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> SignerUnavailable:
        self._session = None
        name = type(error).__name__
        if name in _PIN_REFUSALS:
            self._refusal = (
                f"the token {self._label!r} refused the PIN ({name}); set WATCHWORD_PKCS11_PIN "
                "and restart"
            )
            return SignerUnavailable(self._refusal)
        words = " ".join(f"{name} {error}".split())
        return SignerUnavailable(f"{self._module}, token {self._label!r}, cannot be used: {words}")

    def forget(self, label: str) -> None:
        """Have the private key of this label looked up again."""
        self._keys.pop(label, None)

    def _connect(self) -> Any:  # noqa: ANN401
        """Initialize the module anew, which is what finds a token that was away, and log in."""
        if self._refusal is not None:
            raise SignerUnavailable(self._refusal)
        if time.monotonic() < self._next_attempt:
            raise SignerUnavailable(f"the token {self._label!r} could not be used a moment ago")
        self._next_attempt = time.monotonic() + PAUSE_SECONDS
        self._session, self._keys = None, {}
        library = _pkcs11()
        with suppress(library.PKCS11Error):
            library.lib(self._module).finalize()
        token = library.lib(self._module).get_token(token_label=self._label)
        self._session = token.open(rw=True, user_pin=self._pin)
        return self._session


open_token = cache(_Token)
"""One for each token in a process: opening another's would end the sessions of the first."""


@cache
def _thread(module: str) -> WaitingThreads:
    return WaitingThreads(1)


def _generate(session: Any, *, alg: str, bits: int | None, label: str) -> bytes:  # noqa: ANN401
    """Make a key pair that stays in the token; returns the public key as DER."""
    from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters
    from pkcs11.util.rsa import encode_rsa_public_key

    library = _pkcs11()
    attribute = library.Attribute
    options = {
        "id": label.encode(),
        "label": label,
        "store": True,
        "capabilities": library.MechanismFlag.SIGN | library.MechanismFlag.VERIFY,
        # §10.9: what is sensitive and not extractable cannot be read, wrapped or made so again.
        "private_template": {attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
    }
    if (curve := algorithm(alg).curve) is None:
        public_key, _ = session.generate_keypair(library.KeyType.RSA, bits or RSA_BITS, **options)
        return bytes(encode_rsa_public_key(public_key))
    named = {attribute.EC_PARAMS: encode_named_curve_parameters(_CURVES[curve])}
    parameters = session.create_domain_parameters(library.KeyType.EC, named, local=True)
    public_key, _ = parameters.generate_keypair(**options)
    return bytes(encode_ec_public_key(public_key))


def _sign(key: Any, alg: str, signing_input: bytes) -> bytes:  # noqa: ANN401
    library = _pkcs11()
    mechanism, name = library.Mechanism, _HASHES[alg[2:]]
    if alg.startswith("RS"):
        return bytes(key.sign(signing_input, mechanism=mechanism[f"{name}_RSA_PKCS"]))
    digest = hashlib.new(name, signing_input).digest()
    if alg.startswith("ES"):
        # The signature is r and s, each as wide as the curve: what RFC 7518 §3.4 has too.
        return bytes(key.sign(digest, mechanism=mechanism.ECDSA))
    # RFC 7518 §3.5: the same hash for MGF1, and a salt of its length.
    parameter = (mechanism[name], library.MGF[name], len(digest))
    pss = mechanism[f"{name}_RSA_PKCS_PSS"]
    return bytes(key.sign(signing_input, mechanism=pss, mechanism_param=parameter))


def _require_session(session: Any) -> None:  # noqa: ANN401
    """Raise the library's error if the session is lost.

    A search must not find that out: the library then writes a trace to standard error, since it
    cannot end the search either.
    """
    with suppress(_pkcs11().RandomNoRNG):
        session.generate_random(8)


def _label(reference: Mapping[str, str]) -> str:
    try:
        return reference["label"]
    except KeyError:
        raise KeyStoreError("a key file refers to a PKCS#11 key without a label") from None


@cache
def _pkcs11() -> Any:  # noqa: ANN401 - the one place where the optional library is imported
    try:
        import pkcs11
    except ImportError:
        raise KeyStoreError(
            "WATCHWORD_KEY_SIGNER=pkcs11 needs python-pkcs11; install watchword[hsm]"
        ) from None
    return pkcs11
