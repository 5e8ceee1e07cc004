"""A copy on disk of the last good key set, for a start while the issuer is away.

One JSON file: the issuer, when the set was fetched by the wall clock, how long it serves from then
on, and the set as it was published.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keys.encoding import parse_json_object
from keys.errors import CopyRefused, InvalidJwkSet
from keys.jwks import MAXIMUM_BYTES, JwkSet, parse_jwk_set
from keys.remote.jwks_cache import Freshness
from keys.remote.kept_file import KeptFile

_MAXIMUM_FILE = MAXIMUM_BYTES + 4096
_KEPT_SHARE = 0.1
"""The share of its time after which a copy of the same set is written again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptKeySet:
    """A set that was read from a copy."""

    keys: JwkSet
    age: float
    """Seconds since it was fetched."""
    good_for: float
    """Seconds that it serves after it was fetched."""


class KeySetCopy:
    """The file with the copy of one issuer's set."""

    def __init__(
        self,
        path: Path | str,
        issuer: str,
        *,
        clock: Callable[[], float] = time.time,  # noqa: TID251  # the shell where the clock enters
    ) -> None:
        """Name the file; nothing is read or written yet.

        Args:
            path: the file; a folder that does not exist is made with mode 0700.
            issuer: the issuer identifier; a copy of another issuer's set is refused.
            clock: seconds since the epoch.
        """
        self.path = Path(path)
        self._file = KeptFile(self.path)
        self._issuer = issuer
        self._clock = clock
        self._body = self._saved = b""
        self._saved_at = 0.0

    def load(self) -> KeptKeySet | None:
        """Read the copy, if there is one. Blocks: call it off the event loop.

        Raises:
            CopyRefused: it cannot be read, or is not to be trusted.
        """
        document = self._file.read(_MAXIMUM_FILE)
        if document is None:
            return None
        try:
            kept = self._understand(parse_json_object(document))
        except (ValueError, OverflowError, InvalidJwkSet):  # an integer may exceed every float
            raise CopyRefused(f"{self.path} is damaged; delete it") from None
        if kept.age < 0:
            raise CopyRefused(f"{self.path} is dated in the future; is the clock right?")
        return kept

    def is_due(self, body: bytes, freshness: Freshness) -> bool:
        """Take in an answer; say whether it has to be written: another set, or an old copy.

        What a 304 confirms is the body of the latest answer, also where that could not be written:
        an earlier set may have keys that were withdrawn since.

        Args:
            body: of the answer, empty for 304.
            freshness: how long it serves.
        """
        self._body = body or self._body
        if not freshness.may_be_stored or not self._body:
            return False
        if self._body != self._saved:
            return True
        age = self._clock() - self._saved_at
        return not 0 <= age < freshness.dead_after * _KEPT_SHARE

    def save(self, body: bytes, freshness: Freshness, *, age: float) -> None:
        """Write the copy, all of it or nothing. Blocks: call it off the event loop.

        Args:
            body: of the answer, which was parsed before; empty for 304.
            freshness: how long it serves.
            age: seconds since it was asked for.

        Raises:
            CopyRefused: it cannot be written, or another account could change it.
        """
        now, body = self._clock(), body or self._body
        copy = {
            "issuer": self._issuer,
            "fetched_at": now - age,
            "good_for": freshness.dead_after,
            "jwks": json.loads(body),
        }
        self._file.write(json.dumps(copy).encode())
        self._saved, self._saved_at = body, now

    def _understand(self, copy: dict[str, object]) -> KeptKeySet:
        match copy:
            case {
                "issuer": self._issuer,
                "fetched_at": int() | float() as fetched_at,
                "good_for": int() | float() as good_for,
                "jwks": dict() as jwks,
            }:
                keys = parse_jwk_set(json.dumps(jwks).encode())
                age = float(self._clock() - fetched_at)
                return KeptKeySet(keys=keys, age=age, good_for=good_for)
            case {"issuer": str() as other} if other != self._issuer:
                raise CopyRefused(f"{self.path} is of another issuer; give each its own")
        raise ValueError
