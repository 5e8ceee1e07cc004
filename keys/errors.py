"""Own the errors of the key side: one base, one class for each thing that can be wrong.

The text of an error never holds key material. ``KeyStoreError`` is written for a person: one line
that names the file and the mend.
"""


class KeysError(Exception):
    """Any refusal by the key side; catch this to catch them all."""


class InvalidJwk(KeysError):
    """A JWK that cannot serve as a signature verification key (RFC 7517 §4)."""


class InvalidJwkSet(KeysError):
    """A document that is not a usable JWK set (RFC 7517 §5)."""


class UnknownAlgorithm(KeysError):
    """An ``alg`` that is not in the closed table (RFC 8725 §3.1)."""


class InvalidJws(KeysError):
    """A string that is not a well-formed compact JWS (RFC 7515 §7.1)."""


class KeyStoreError(KeysError):
    """A key store that cannot be read or written; its text is one line naming the mend."""


class NoSigningKey(KeysError):
    """There is no key to sign with."""


class KeyFromTheFuture(KeysError):
    """A key of the store is dated after this machine's clock, so no later key can be placed."""
