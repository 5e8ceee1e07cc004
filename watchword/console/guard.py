"""Who a request of the console is from: its cookies, read and held against the registry."""

import asyncio
import secrets
from typing import TYPE_CHECKING, NamedTuple

from issuer.endpoints.asgi import Headers
from issuer.registry.audit import Via
from issuer.registry.client import Client
from issuer.storage.registry import Registry
from issuer.storage.shared_keys import CONSOLE_KEY, find_shared_key
from watchword.ambient import wall_clock
from watchword.console.sessions import FORM_SECONDS, SESSION_SECONDS, Session, SessionSeal, Visit
from watchword.console.sign_in import (
    ENDED_SESSIONS,
    administration_scopes,
    find_hindrance,
)
from watchword.provider.admin import Administrator
from watchword.registry import ADMIN_SCOPES

if TYPE_CHECKING:
    from issuer.storage.reading import RegistryReading

_SESSION = "watchword_console"
_VISIT = "watchword_sign_in"

SetCookie = tuple[bytes, bytes]


class SignedIn(NamedTuple):
    """A session that counts, and what its holder holds at this moment."""

    session: Session
    administrator: Administrator


class SessionGuard:
    """Reads and writes the cookies of the console.

    Args:
        registry: has the key that all nodes share, the clients, and the sessions that were ended.
        origin: of the console.
        administration: the resource identifier of the administration API.
    """

    def __init__(self, registry: Registry, *, origin: str, administration: str) -> None:
        self._registry = registry
        self._administration = administration
        self._origin = origin
        self._secure = origin.startswith("https:")
        self._seal: SessionSeal | None = None

    async def seal(self) -> SessionSeal:
        """Return what seals cookies and links.

        Raises:
            StoreUnavailable: its key is not known yet, and the registry does not answer.
        """
        if self._seal is None:
            root = await asyncio.to_thread(find_shared_key, self._registry, CONSOLE_KEY)
            self._seal = SessionSeal(root, self._origin, random_bytes=secrets.token_bytes)
        return self._seal

    async def find_session(self, headers: Headers) -> Session | None:
        """Return the session that a request shows; whether it still counts is not asked.

        Raises:
            StoreUnavailable: as from `seal`.
        """
        text = self._read(headers, _SESSION)
        return None if text is None else (await self.seal()).open(Session, text, wall_clock())

    def has_session(self, headers: Headers) -> bool:
        """Tell whether a request shows the cookie of a session, whatever that is worth."""
        return self._read(headers, _SESSION) is not None

    async def find_visit(self, headers: Headers) -> Visit | None:
        """Return the visit of the sign-in form that a request shows.

        Raises:
            StoreUnavailable: as from `seal`.
        """
        text = self._read(headers, _VISIT)
        return None if text is None else (await self.seal()).open(Visit, text, wall_clock())

    async def settle(self, session: Session) -> SignedIn | None:
        """Return what the holder of a session holds at this moment; None if the session has ended.

        Raises:
            StoreUnavailable: the registry does not answer.
        """
        return await asyncio.to_thread(self._registry.read, lambda it: self._settle(session, it))

    def _settle(self, session: Session, reading: "RegistryReading") -> SignedIn | None:
        if wall_clock() >= session.ends or reading.is_claimed(ENDED_SESSIONS, session.id):
            return None
        if session.is_user:
            scopes, via = frozenset(ADMIN_SCOPES), Via.CONSOLE
        else:
            client = reading.find_client(session.name)
            if client is None or not self._counts(session, client):
                return None
            scopes, via = administration_scopes(client, self._administration), Via.API
        administrator = Administrator(
            name=session.name, via=via, scopes=scopes, since=session.began
        )
        return SignedIn(session, administrator)

    def _counts(self, session: Session, client: Client) -> bool:
        """Tell whether a client could sign in now with the secret that it signed in with."""
        now = wall_clock()
        return (
            client.is_active(now)
            and client.created_at <= session.began
            and find_hindrance(client, self._administration) is None
            and any(
                secret.secret_id == session.credential_id and secret.is_live(now)
                for secret in (*client.fast_secrets, *client.slow_secrets)
            )
        )

    async def keep_session(self, session: Session) -> tuple[SetCookie, ...]:
        """Write the cookie of a session, and remove that of the visit."""
        text = (await self.seal()).seal(session, wall_clock())
        return self._write(_SESSION, text, SESSION_SECONDS), self._write(_VISIT, "", 0)

    async def keep_visit(self, visit: Visit) -> tuple[SetCookie, ...]:
        """Write the cookie of a visit."""
        text = (await self.seal()).seal(visit, wall_clock())
        return (self._write(_VISIT, text, FORM_SECONDS),)

    def forget_session(self) -> tuple[SetCookie, ...]:
        """Remove the cookie of a session."""
        return (self._write(_SESSION, "", 0),)

    def _name(self, name: str) -> str:
        # RFC 6265bis §4.1.3.2: set by this host alone, over TLS, and not by a neighbour of it.
        return f"__Host-{name}" if self._secure else name

    def _write(self, name: str, text: str, seconds: int) -> SetCookie:
        secure = "; Secure" if self._secure else ""
        attributes = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
        return (b"set-cookie", f"{self._name(name)}={text}; {attributes}".encode("ascii"))

    def _read(self, headers: Headers, name: str) -> str | None:
        """Return a cookie; None if there is none, or more than one of its name."""
        lines = [value.decode("latin-1") for given, value in headers if given == b"cookie"]
        pairs = [pair.strip().partition("=") for line in lines for pair in line.split(";")]
        found = [value for given, _, value in pairs if given == self._name(name)]
        return found[0] if len(found) == 1 else None
