"""Check in each request that the caller possesses what its token is bound to.

RFC 9449 §4.3 and §7 (DPoP), RFC 8705 §3 (client certificates), RFC 9440 (certificates behind a
proxy). The token was verified before, now or in an earlier request: `resource_api.validator`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from keys.client_cert import certificate_thumbprint, parse_client_cert, parse_pem
from keys.dpop import PROOF_ALGORITHMS, PROOF_WINDOW, InvalidProof, ProofKeys, check_proof
from keys.dpop_nonce import Nonces
from keys.identifiers import split_server_url
from keys.replay import RecentProofs, ReplayStore, ReplayStoreUnavailable
from resource_api.confirmation import CERTIFICATE, KEY
from resource_api.errors import (
    CheckUnavailable,
    InvalidDpopProof,
    InvalidRequest,
    InvalidToken,
    NonceNeeded,
    Reason,
    Scheme,
)

Headers = Sequence[tuple[bytes, bytes]]


class Presented(NamedTuple):
    """What a request shows besides its header fields, as the server tells it."""

    method: str
    path: str
    """As it was sent, from the root of the server on, without query."""
    peer: str | None = None
    """The address that the connection came from; None if the server does not know it."""
    certificate: str | None = None
    """What the peer showed in TLS, in PEM."""


@dataclass(frozen=True, slots=True)
class Binding:
    """How one API checks tokens that are bound to a key or a certificate.

    Raises:
        ValueError: a value that cannot be.
    """

    _: KW_ONLY
    base_url: str = ""
    """What precedes the path that the application sees in the URL that callers use, such as
    `https://api.example.com/orders` behind a proxy that takes `/orders` off; by default scheme and
    host of the resource identifier (RFC 9449 §4.3, `htu`)."""
    algorithms: Collection[str] = PROOF_ALGORITHMS
    """The `alg` values of DPoP proofs that are accepted."""
    replays: ReplayStore | None = None
    """Where used proofs are remembered; by default in this process alone, a million at most,
    and of each key as many as are left free at most."""
    nonces: Nonces | None = None
    """Asks callers for a nonce of this API in each proof (RFC 9449 §9); by default for none."""
    trusted_proxies: Collection[str] = ()
    """Addresses and networks whose `Client-Cert` (RFC 9440) is believed. Such a proxy must replace
    the field that a caller sends, and under WSGI also drop fields with an underscore in their name,
    since `Client_Cert` is the same variable there. The server must not let callers choose the peer
    address, as uvicorn does with `--forwarded-allow-ips='*'`."""
    networks: tuple[IPv4Network | IPv6Network, ...] = field(init=False, repr=False)
    """Those of `trusted_proxies`."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.base_url:
            try:
                split_server_url(self.base_url)
            except ValueError as error:
                raise ValueError(f"base_url {error}") from None
            if "?" in self.base_url or self.base_url.endswith("/"):
                raise ValueError("base_url must have neither a query nor a slash at its end")
        if not self.algorithms or not set(PROOF_ALGORITHMS) >= set(self.algorithms):
            raise ValueError("algorithms must be some of " + ", ".join(PROOF_ALGORITHMS))
        if isinstance(self.trusted_proxies, str):
            raise ValueError("trusted_proxies must be a collection of addresses and networks")
        try:
            networks = tuple(map(ip_network, self.trusted_proxies))
        except ValueError as error:
            raise ValueError(f"trusted_proxies: {error}") from None
        if any(network.prefixlen == 0 for network in networks):
            raise ValueError("trusted_proxies must name the proxies, and not every address")
        object.__setattr__(self, "networks", networks)


class Possession:
    """Check the callers of one API, by its `Binding`."""

    def __init__(self, binding: Binding, resource: str, *, clock: Callable[[], float]) -> None:
        """Prepare.

        Args:
            binding: how to check.
            resource: the identifier of the API.
            clock: seconds since the epoch.
        """
        self._base = binding.base_url or _origin_of(resource)
        self.algorithms = tuple(binding.algorithms) if self._base else ()
        """What proofs may be signed with; none where a DPoP proof cannot be checked."""
        self.knows_proxies = bool(binding.networks)
        """Whether certificates come from a proxy."""
        self._networks = binding.networks
        self._nonces = binding.nonces
        self._replays = binding.replays or RecentProofs(clock=clock)
        self._clock = clock
        self._keys = ProofKeys()

    async def check(
        self,
        confirmation: Mapping[str, str],
        scheme: Scheme,
        token: bytes,
        headers: Headers,
        request: Presented | None,
    ) -> None:
        """Pass if the sender of a request possesses all that its token is bound to.

        Args:
            confirmation: what that is, the `cnf` of the token; empty for a token that is not bound.
            scheme: of the Authorization header.
            token: as received.
            headers: of the request, raw, the names in lower case.
            request: the rest of it; None where that is not known.

        Raises:
            ResourceError: the refusal that the request is to be answered with.
        """
        # RFC 9449 §7.1, §7.2: DPoP and a key, or neither. Otherwise, one who stole a bound token
        # could leave the proof away, and one with a plain token would seem to prove something.
        if scheme is Scheme.DPOP and KEY not in confirmation:
            raise InvalidToken(Reason.UNBOUND_TOKEN)
        if scheme is not Scheme.DPOP and KEY in confirmation:
            raise InvalidToken(Reason.SENDER_CONSTRAINED)
        if request is None:
            raise InvalidToken(Reason.UNCHECKED_BINDING)
        if CERTIFICATE in confirmation:
            self._check_certificate(confirmation[CERTIFICATE], headers, request)
        if KEY in confirmation:
            await self._check_proof(confirmation[KEY], token, headers, request)

    def _check_certificate(self, expected: str, headers: Headers, request: Presented) -> None:
        certificate = self._find_certificate(headers, request)
        if certificate is None:
            raise InvalidToken(Reason.NO_CERTIFICATE)
        if certificate_thumbprint(certificate) != expected:
            raise InvalidToken(Reason.WRONG_CERTIFICATE)

    def _find_certificate(self, headers: Headers, request: Presented) -> bytes | None:
        try:
            # What a trusted proxy shows in TLS is its own certificate, never that of the caller.
            if self._is_trusted(request.peer):
                return parse_client_cert(_lines(headers, b"client-cert"))
            return None if request.certificate is None else parse_pem(request.certificate)
        except ValueError:
            raise InvalidRequest(Reason.MALFORMED_CERTIFICATE) from None

    def _is_trusted(self, peer: str | None) -> bool:
        if not self._networks or peer is None:
            return False
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)

    async def _check_proof(
        self, expected: str, token: bytes, headers: Headers, request: Presented
    ) -> None:
        if not self._base:
            raise InvalidToken(Reason.UNCHECKED_BINDING)
        now = self._clock()
        try:
            proof = check_proof(
                _lines(headers, b"dpop"),
                method=request.method,
                url=self._base + request.path,
                now=now,
                algorithms=self.algorithms,
                token=token,
                jkt=expected,
                memo=self._keys,
            )
        except InvalidProof as error:
            raise InvalidDpopProof(Reason(error.fault)) from None
        if proof.jkt != expected:
            raise InvalidToken(Reason.WRONG_PROOF_KEY)
        nonces = self._nonces
        if nonces is not None and not (proof.nonce and nonces.is_current(proof.nonce, now)):
            raise NonceNeeded(nonces.issue(now))
        # Last, when all else was checked: nobody without the key can use up what is remembered. An
        # id counts once for its key, whatever the URL, which is stricter than RFC 9449 §11.1.
        until = int(proof.issued_at) + PROOF_WINDOW + 1
        try:
            is_first = await self._replays.claim(f"dpop:{expected}", proof.jti, until)
        except ReplayStoreUnavailable:
            raise CheckUnavailable(Reason.REPLAYS_UNAVAILABLE, 1) from None
        if not is_first:
            raise InvalidDpopProof(Reason.PROOF_REPLAYED)


def _lines(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def _origin_of(resource: str) -> str:
    """Give scheme and host of an identifier; nothing for one that is no http or https URL."""
    parts = urlsplit(resource)
    is_url = parts.scheme in ("http", "https") and parts.netloc
    return f"{parts.scheme}://{parts.netloc}" if is_url else ""
