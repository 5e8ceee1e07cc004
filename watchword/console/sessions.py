"""Sessions of the administration console: what a cookie or a one-time link proves, and how long.

Pure: the clock and randomness are arguments. Nothing is kept; what a browser holds is sealed with
AES-256-GCM under keys that all nodes derive from one root and the time, so they change by
themselves and no old cookie opens.
"""

import hmac
import json
import re
from collections.abc import Callable
from typing import NamedTuple, Self, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.encoding import decode_base64url, encode_base64url

SESSION_SECONDS = 900
"""How long a session lasts, whatever is done in it."""

LINK_SECONDS = 60
"""How long a link of `watchword console` can be used, once."""

FORM_SECONDS = 3_600
"""How long the sign-in form may stay open in a browser."""

KEY_SECONDS = 3_600
"""How long one key seals; it opens for another such period."""

ROOT_BYTES = 32

_LONGEST = 4_096
_STEP_BYTES = 4
_NONCE_BYTES = 12
_RANDOM_BYTES = 16
# RFC 3986 §3.3 and §3.4, without what a browser would read as another host.
_OWN_PATH = re.compile(
    r"(?:/(?:[\w.~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+/?(?:\?[\w.~!$&'()*+,;=:@/?%-]*)?", re.ASCII
)

RandomBytes = Callable[[int], bytes]


class Session(NamedTuple):
    """Who is signed in.

    Args:
        ends: seconds since the epoch.
        began: likewise.
        id: of the session, which ends with it.
        name: the client id, or the user of the machine who made the link.
        credential_id: the secret that the client showed; None for a user of the machine.
        csrf: what every form of the session carries.
    """

    ends: int
    began: int
    id: str
    name: str
    credential_id: str | None
    csrf: str

    @property
    def is_user(self) -> bool:
        """Whether it is of a user of the machine, by a link, and not of a client."""
        return self.credential_id is None

    @classmethod
    def begin(
        cls, name: str, credential_id: str | None, *, now: int, random_bytes: RandomBytes
    ) -> Self:
        """Begin a session at `now`, seconds since the epoch."""
        return cls(
            ends=now + SESSION_SECONDS,
            began=now,
            id=_random_text(random_bytes),
            name=name,
            credential_id=credential_id,
            csrf=_random_text(random_bytes),
        )

    def __repr__(self) -> str:
        """Show whose it is, and neither its id nor what its forms carry."""
        return f"Session(name={self.name!r})"


class Link(NamedTuple):
    """What a one-time link proves: that a user of the machine made it.

    Args:
        ends: seconds since the epoch.
        id: what it is known by as used.
        name: of the user.
    """

    ends: int
    id: str
    name: str

    @classmethod
    def make(cls, name: str, *, now: int, random_bytes: RandomBytes) -> Self:
        """Make one for a user at `now`, seconds since the epoch."""
        return cls(ends=now + LINK_SECONDS, id=_random_text(random_bytes), name=name)

    def __repr__(self) -> str:
        """Show whose it is, not its id."""
        return f"Link(name={self.name!r})"


class Visit(NamedTuple):
    """A browser that was shown the sign-in form.

    Args:
        ends: seconds since the epoch.
        csrf: what the form carries.
    """

    ends: int
    csrf: str

    @classmethod
    def begin(cls, *, now: int, random_bytes: RandomBytes) -> Self:
        """Begin one at `now`, seconds since the epoch."""
        return cls(ends=now + FORM_SECONDS, csrf=_random_text(random_bytes))

    def __repr__(self) -> str:
        """Show nothing."""
        return "Visit()"


Sealable = TypeVar("Sealable", Session, Link, Visit)


class SessionSeal:
    """Seals sessions, links and visits for one console, and opens them again.

    Args:
        root: `ROOT_BYTES` random bytes, which all nodes share.
        origin: of the console, such as `https://login.example.com`; what is sealed for another
            does not open.
        random_bytes: the operating system's randomness, `secrets.token_bytes`.
    """

    __slots__ = ("_origin", "_random_bytes", "_root")

    def __init__(self, root: bytes, origin: str, *, random_bytes: RandomBytes) -> None:
        self._root = root
        self._origin = origin
        self._random_bytes = random_bytes

    def seal(self, value: Session | Link | Visit, now: int) -> str:
        """Write what a browser keeps of a value, in base64url."""
        step, nonce = now // KEY_SECONDS, self._random_bytes(_NONCE_BYTES)
        content = json.dumps(value, separators=(",", ":")).encode()
        cipher, context = self._of_step(type(value), step)
        sealed = cipher.encrypt(nonce, content, context)
        return encode_base64url(step.to_bytes(_STEP_BYTES) + nonce + sealed)

    def open(self, kind: type[Sealable], text: str, now: int) -> Sealable | None:
        """Return what was sealed; None if it was changed, is of another kind or has ended."""
        if len(text) > _LONGEST:
            return None
        try:
            raw = decode_base64url(text)
        except ValueError:
            return None
        step = int.from_bytes(raw[:_STEP_BYTES])
        # The next one as well: the clock of the node that sealed it may be ahead.
        if abs(now // KEY_SECONDS - step) > 1:
            return None
        nonce, sealed = raw[_STEP_BYTES:][:_NONCE_BYTES], raw[_STEP_BYTES + _NONCE_BYTES :]
        cipher, context = self._of_step(kind, step)
        try:
            content = cipher.decrypt(nonce, sealed, context)
        except (InvalidTag, ValueError):
            return None
        value = kind(*json.loads(content))
        return value if now < value.ends else None

    def __repr__(self) -> str:
        """Show no key."""
        return f"SessionSeal(origin={self._origin!r})"

    def _of_step(self, kind: type, step: int) -> tuple[AESGCM, bytes]:
        context = f"console {kind.__name__} {step} {self._origin}".encode()
        return AESGCM(hmac.digest(self._root, context, "sha256")), context


def is_csrf(sent: str | None, expected: str) -> bool:
    """Tell whether a form carries what it has to, in time that depends on neither."""
    return hmac.compare_digest((sent or "").encode("utf-8", "replace"), expected.encode())


def is_own_request(
    method: str, *, origin: str | None, fetch_site: str | None, own_origin: str
) -> bool:
    """Tell whether a request came from a page of the console, or for a read from no page at all.

    Args:
        method: of the request.
        origin: its `Origin`; browsers send it with every form (RFC 6454 §7).
        fetch_site: its `Sec-Fetch-Site`, which scripts cannot set.
        own_origin: of the console.
    """
    if fetch_site not in (None, "same-origin", "none"):
        return False
    if method in ("GET", "HEAD"):
        return origin in (None, own_origin)
    return origin == own_origin


def choose_next(path: str | None, base: str) -> str:
    """Return the path to go on to after sign-in: one of the console's own, else its first page.

    Args:
        path: as a form or link has it, with a query; anybody may have written it.
        base: the path of the console.
    """
    if path is None or len(path) > _LONGEST or not _OWN_PATH.fullmatch(path):
        return base
    segments = path.partition("?")[0].split("/")
    # RFC 3986 §6.2.2.3: a browser takes dots out, escaped ones too.
    if any(each.lower().replace("%2e", ".") in (".", "..") for each in segments):
        return base
    return path if path.startswith((base + "/", base + "?")) else base


def _random_text(random_bytes: RandomBytes) -> str:
    return encode_base64url(random_bytes(_RANDOM_BYTES))
