"""JWK sets (RFC 7517 §5): build the published document, parse a fetched one, select by kid.

Pure. A set read from the network is hostile until parsed: it is bounded in bytes and keys, and
keys that cannot verify signatures are left out (RFC 7517 §5: ignore what is not understood).
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from keys.encoding import parse_json_object
from keys.errors import InvalidJwk, InvalidJwkSet
from keys.jwk import PUBLISHED_TEST_KEYS, PublicJwk, parse_public_jwk, thumbprint

# Reader and writer keep the same bounds: a set that is published can be read.
MAXIMUM_BYTES = 65_536
MAXIMUM_KEYS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class JwkSet:
    """The usable keys of one issuer."""

    keys: tuple[PublicJwk, ...]
    _only: dict[tuple[str, str], PublicJwk | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the keys, since every token asks for one."""
        # RFC 7517 §4.5: several keys may share a `kid`. Guessing among them would leave the choice
        # to the sender of the token.
        only: dict[tuple[str, str], PublicJwk | None] = {}
        for key in self.keys:
            name = (key.kid, key.alg)
            only[name] = None if name in only else key
        object.__setattr__(self, "_only", only)

    def select(self, kid: str, alg: str) -> PublicJwk | None:
        """Return the one key of this ``kid`` and ``alg``, or None if there is not exactly one."""
        return self._only.get((kid, alg))


def build_jwk_set(keys: Iterable[PublicJwk]) -> dict[str, list[dict[str, str]]]:
    """Build the JWK set document; only allow-listed public members appear in it."""
    return {"keys": [key.members() for key in keys]}


def fits_jwk_set(keys: Sequence[PublicJwk]) -> bool:
    """Tell whether a set of these keys is within the bounds that `parse_jwk_set` keeps."""
    if len(keys) > MAXIMUM_KEYS:
        return False
    # Written at its widest, with spaces, as a publisher may write it.
    return len(json.dumps(build_jwk_set(keys))) <= MAXIMUM_BYTES


def fit_jwk_set(keys: Sequence[PublicJwk], *, around: int) -> Sequence[PublicJwk]:
    """Leave out the keys that are farthest from one of them, until the set is within the bounds.

    Args:
        keys: the keys, in the order in which they sign.
        around: the position of the key that matters most.
    """
    kept = list(keys)
    while not fits_jwk_set(kept):
        if around > len(kept) - 1 - around:
            kept.pop(0)
            around -= 1
        else:
            kept.pop()
    return kept


def parse_jwk_set(
    document: bytes,
    *,
    max_bytes: int = MAXIMUM_BYTES,
    max_keys: int = MAXIMUM_KEYS,
    algorithms: Collection[str] = (),
) -> JwkSet:
    """Read a JWK set, leaving out the keys that cannot verify a signature.

    Args:
        document: the body as it came over the wire.
        max_bytes: the largest document that is looked at.
        max_keys: the largest number of keys that is looked at, usable or not.
        algorithms: a key without ``alg`` serves each of these that it fits; by default, the first
            of all that it fits.

    Raises:
        InvalidJwkSet: if it is too large, not a JWK set, or has no usable key; the caller keeps the
            last good set then.
    """
    if len(document) > max_bytes:
        raise InvalidJwkSet(f"JWK set is larger than {max_bytes} bytes")
    try:
        members = parse_json_object(document).get("keys")
    except ValueError as error:
        raise InvalidJwkSet("JWK set is not a strict JSON object") from error
    if not isinstance(members, list):
        raise InvalidJwkSet("JWK set has no keys array")
    if len(members) > max_keys:
        raise InvalidJwkSet(f"JWK set has more than {max_keys} keys")
    # RFC 7517 §5: a key that is not understood, or lacks a member, SHOULD be ignored, not the set.
    # One key listed twice is one key; two keys of one kid stay two, and `select` gives neither.
    usable = tuple(dict.fromkeys(key for each in members for key in _usable(each, algorithms)))
    if not usable:
        raise InvalidJwkSet("JWK set has no usable key")
    return JwkSet(keys=usable)


def _usable(members: object, algorithms: Collection[str]) -> Iterator[PublicJwk]:
    if not isinstance(members, dict):
        return
    bound = members.get("alg") is not None or not algorithms
    for each in [members] if bound else [{**members, "alg": alg} for alg in algorithms]:
        try:
            key = parse_public_jwk(each)
        except InvalidJwk:
            continue
        # Anyone can sign with a key whose private half is printed in an RFC.
        if thumbprint(key.members()) not in PUBLISHED_TEST_KEYS:
            yield key
