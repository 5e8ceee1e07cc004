"""Look up the hosts that clients name, so that nothing inside the network is asked for them."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from issuer.registration.ip_ranges import is_public

RESOLVE_SECONDS = 5.0
"""Seconds to wait for the addresses of a name, the wait for a free thread included."""

_THREADS = 2

Resolve = Callable[[str], Iterable[str]]


def resolve(host: str) -> list[str]:
    """Ask the system for all addresses of a host.

    Raises:
        OSError: there is none, or no name server answers.
    """
    # As bytes, so that Python does not bring an encoding of its own into the name.
    found = socket.getaddrinfo(host.encode("ascii"), 443, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class SsrfGuard:
    """SSRF guard: allow a host only if all its addresses are public (RFC 8725 §3.10).

    Resolving takes as long as a resolver likes, so it has threads of its own and a time limit.
    Names change their addresses, so a fetch has to look again, and connect to what it found.

    Args:
        allowed: hosts whose addresses may be private, in lower case.
        resolve: gives the addresses of a host, or raises OSError.
        timeout: seconds after which a name counts as unknown.
    """

    def __init__(
        self,
        allowed: Iterable[str] = (),
        *,
        resolve: Resolve = resolve,
        timeout: float = RESOLVE_SECONDS,
    ) -> None:
        self._allowed = frozenset(allowed)
        self._resolve = resolve
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")

    async def is_public(self, host: str) -> bool:
        """Tell whether every address of a host is public; an unknown name is not.

        Args:
            host: a host name in lower case.
        """
        return host in self._allowed or bool(await self.addresses(host))

    async def addresses(self, host: str) -> Sequence[str]:
        """Return the addresses of a host, all of which are public unless it is an allowed one.

        Args:
            host: a host name in lower case.

        Returns:
            None at all if any of them is private, or the name is unknown.
        """
        looking = asyncio.get_running_loop().run_in_executor(self._threads, self._addresses, host)
        try:
            async with asyncio.timeout(self._timeout):
                addresses = await looking
        except TimeoutError:
            return ()
        if host in self._allowed or all(map(is_public, addresses)):
            return addresses
        return ()

    def close(self) -> None:
        """Let the threads end once their work is done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _addresses(self, host: str) -> list[str]:
        try:
            return list(self._resolve(host))
        except (OSError, UnicodeError):
            return []
