"""Read the status claim of a token, and the signed list that it points into. Pure.

Token Status List (draft-ietf-oauth-status-list): §4 the list, §5 the token that carries it, §6 the
claim, §8.3 the checks. A list from the network is hostile until read: bounded as it is sent and as
it unfolds, and signed by a key of the issuer whose tokens it is about.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from keys.encoding import decode_base64url, inflate_zlib
from keys.errors import InvalidJwt
from keys.identifiers import split_server_url
from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from keys.jwt import FUTURE_IAT, JwtProfile, ParsedJwt, parse_jwt, read_date, verify_signature
from keys.key_types import ALGORITHMS
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, Reason

MEDIA_TYPE: Final = "application/statuslist+jwt"
MAX_LIST_BYTES: Final = 2 * 2**20
"""The longest list that is looked at, as it is sent."""
MAX_UNFOLDED_BYTES: Final = 4 * 2**20
"""The most bytes that a list may unfold into: 16 million tokens of 2 bits."""
DEFAULT_TTL: Final = 300
"""Seconds after which a list that states no `ttl` is asked for again."""
LONGEST_TTL: Final = 3600
SHORTEST_TTL: Final = 1

VALID, INVALID, SUSPENDED = 0, 1, 2  # §7.1
_REFUSALS: dict[int | None, Reason] = {
    INVALID: Reason.TOKEN_REVOKED,
    SUSPENDED: Reason.TOKEN_SUSPENDED,
}

# Of whatever algorithm the issuer's key is: a list is no token, and each key has one algorithm.
_PROFILE = JwtProfile(
    types=frozenset({"statuslist+jwt"}), algorithms=frozenset(ALGORITHMS), max_bytes=MAX_LIST_BYTES
)


class InvalidStatusList(Exception):
    """An answer that is not the list that was asked for; its text repeats nothing of it."""


class StatusReference(NamedTuple):
    """Where the status of a token stands."""

    uri: str
    idx: int


class Version(NamedTuple):
    """Which changes a list has, as an issuer of ours states it: `status_list_version`.

    Args:
        feed: what the number belongs to; those of two feeds cannot be compared.
        change: the number of the latest change of the list.
    """

    feed: str
    change: int


class Statuses(Protocol):
    """The statuses of the tokens on one list."""

    def status(self, idx: int) -> int | None:
        """Give the status at an index from 0 on; None if the list ends before it."""
        ...


class StatusList:
    """A list that was verified. Times are seconds since the epoch, `ttl` seconds."""

    __slots__ = ("_bits", "_data", "_mask", "expires_at", "issued_at", "size", "ttl", "version")

    def __init__(
        self,
        data: bytes,
        bits: int,
        *,
        issued_at: float,
        expires_at: float,
        ttl: float,
        version: Version | None = None,
    ) -> None:
        """Hold the unfolded bytes of a list of 1, 2, 4 or 8 bits a token."""
        self._data = data
        self._bits = bits
        self._mask = (1 << bits) - 1
        self.size = len(data)
        self.issued_at = issued_at
        self.expires_at = expires_at
        """Infinite for a list that states none."""
        self.ttl = ttl
        self.version = version

    def is_older_than(self, other: "StatusList") -> bool:
        """Tell whether the other one may know of revocations that this one does not.

        The clocks of an issuer's nodes differ, so that `iat` decides only between lists that do not
        state their changes, or number them in different ways.
        """
        mine, theirs = self.version, other.version
        if mine is not None and theirs is not None and mine.feed == theirs.feed:
            return mine.change < theirs.change
        return self.issued_at < other.issued_at

    def status(self, idx: int) -> int | None:
        """Give the status at an index from 0 on; None if the list ends before it."""
        # §4.1: statuses fill a byte from its least significant bit on.
        bit = idx * self._bits
        if bit >> 3 >= self.size:
            return None
        return self._data[bit >> 3] >> (bit & 7) & self._mask


def read_status(claims: Mapping[str, Any], policy: ResourcePolicy) -> StatusReference | None:
    """Give where the status of a token stands; None for a token without `status`.

    Args:
        claims: of the token.
        policy: says below which URI the issuer's lists are.

    Raises:
        InvalidToken: a claim that names no place on a list of this issuer, or none where the
            policy wants one.
    """
    if "status" not in claims:
        if policy.status_required:
            raise InvalidToken(Reason.STATUS_REQUIRED)
        return None
    status = claims["status"]
    member = status.get("status_list") if isinstance(status, dict) else None
    if isinstance(member, dict):
        idx, uri = member.get("idx"), member.get("uri")
        # §6.2: an index is a JSON integer; `type`, since `true` is an `int` too.
        if (
            type(idx) is int
            and idx >= 0
            and isinstance(uri, str)
            and _is_below(uri, policy.status_lists or policy.issuer)
        ):
            return StatusReference(uri, idx)
    raise InvalidToken(Reason.INVALID_STATUS)


def check_status(reference: StatusReference, statuses: Statuses | None) -> None:
    """Pass a token whose status is VALID (§8.3).

    Args:
        reference: where its status stands.
        statuses: of the list named there; None where lists are not looked at.

    Raises:
        InvalidToken: it was revoked or suspended, or nothing says that it was not.
    """
    if statuses is None:
        raise InvalidToken(Reason.UNCHECKED_STATUS)
    status = statuses.status(reference.idx)
    if status != VALID:
        # Beyond the end (None) and statuses of an application's own say nothing that counts here.
        raise InvalidToken(_REFUSALS.get(status, Reason.INVALID_STATUS))


def parse_status_list(body: bytes, keys: JwkSet, *, uri: str, now: float) -> StatusList:
    """Read a list that was fetched.

    Args:
        body: the signed list as received.
        keys: those of the issuer whose tokens name the list, and of no other.
        uri: the address that the tokens name.
        now: seconds since the epoch.

    Raises:
        InvalidStatusList: it is not that list, or not in force.
    """
    parsed = parse_list_token(body)
    key = keys.select(parsed.header.kid, parsed.header.alg)
    if key is None:
        raise InvalidStatusList("a list that no key of the issuer signed")
    return verify_status_list(parsed, key, uri=uri, now=now)


def parse_list_token(body: bytes) -> ParsedJwt:
    """Do what needs no key: size, shape, type, headers.

    Raises:
        InvalidStatusList: one of them is wrong.
    """
    try:
        return parse_jwt(body, _PROFILE)
    except InvalidJwt as error:
        raise InvalidStatusList(f"a list that is refused: {error.fault}") from None


def verify_status_list(parsed: ParsedJwt, key: PublicJwk, *, uri: str, now: float) -> StatusList:
    """Check signature and claims, and unfold the list (§8.3).

    Args:
        parsed: what `parse_list_token` gave.
        key: of the issuer whose tokens name the list.
        uri: the address that the tokens name.
        now: seconds since the epoch.

    Raises:
        InvalidStatusList: one of them is wrong.
    """
    claims = parsed.claims
    try:
        verify_signature(parsed, key)
        issued_at = read_date(claims.get("iat"))
        expires_at = read_date(claims["exp"]) if "exp" in claims else float("inf")
        ttl = read_date(claims.get("ttl", DEFAULT_TTL))
    except InvalidJwt as error:
        raise InvalidStatusList(f"a list that is refused: {error.fault}") from None
    if claims.get("sub") != uri:  # §8.3: else one list could stand in for another
        raise InvalidStatusList("another list than the one that was asked for")
    if issued_at > now + FUTURE_IAT:
        raise InvalidStatusList("a list from the future; are the clocks right?")
    if now >= expires_at:
        raise InvalidStatusList("a list that expired")
    bits, data = _unfold(claims.get("status_list"))
    return StatusList(
        data,
        bits,
        issued_at=issued_at,
        expires_at=expires_at,
        ttl=max(SHORTEST_TTL, min(LONGEST_TTL, ttl)),
        version=_read_version(claims.get("status_list_version")),
    )


def _read_version(member: object) -> Version | None:
    """Read a member that no standard has; whatever else stands there is of another issuer."""
    match member:
        case {"feed": str(feed), "change": int(change)} if type(change) is int:
            return Version(feed, change)
    return None


def _unfold(member: object) -> tuple[int, bytes]:
    match member:
        case {"bits": int(bits), "lst": str(lst)} if bits in (1, 2, 4, 8) and bits is not True:
            try:
                return bits, inflate_zlib(decode_base64url(lst), maximum=MAX_UNFOLDED_BYTES)
            except ValueError as error:
                raise InvalidStatusList(f"a list that cannot be unfolded: {error}") from None
    raise InvalidStatusList("a list without bits and lst as they must be")


@lru_cache(maxsize=256)  # tokens name few lists, and only those of an issuer that is trusted
def _is_below(uri: str, prefix: str) -> bool:
    """Tell whether a URI is below another one, however a client or a server may read it."""
    if not uri.startswith(prefix.removesuffix("/") + "/"):
        return False
    try:
        split_server_url(uri)
    except ValueError:
        return False
    # RFC 3986 §5.2.4: clients take `..` away before they ask, and servers decode `%2e` and `%2f`.
    path = unquote(urlsplit(uri).path)
    return "\\" not in path and not {".", ".."} & set(path.split("/"))
