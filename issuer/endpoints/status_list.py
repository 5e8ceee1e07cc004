"""`GET /status-lists/{id}`: a status list as a signed JWT; `GET /status-lists`: which there are.

Token Status List §5.1, §8.2, §9. Whatever the load, a list is packed and signed once a change, and
once a third of its life, by each worker: all that it holds is of lists that exist.
"""

import asyncio
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from issuer.access_token import assemble, build_signing_input, header_segment
from issuer.config import IssuerConfig
from issuer.endpoints.asgi import Headers, Receive, Scope, Send, respond
from issuer.endpoints.document import refuse_method, send_document, strong_etag, takes_gzip
from issuer.service import SigningKeys
from issuer.status.lists import BITS, StatusLists, Version
from issuer.status.positions import LISTS_PATH, parse_list_id
from keys.encoding import encode_base64url
from keys.errors import NoSigningKey, SignerUnavailable
from keys.signers.local import Signer

LIST_TYPE = "statuslist+jwt"
RETRY_SECONDS = 5

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_LEVEL = 6  # of base64, a higher one gains nothing
_CONTENT = ((b"content-type", b"application/" + LIST_TYPE.encode()),)
_UNSTORED = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))

Key = tuple[int, int]
"""Bucket and part of a list."""


class _Edition(NamedTuple):
    """What a signed list says of when: the same for all workers and nodes that know as much."""

    etag: bytes
    version: Version
    issued_at: int
    expires_at: int


@dataclass(slots=True)
class _Signed:
    """A list as it was signed last; the lock is held while it is signed anew."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    etag: bytes = b""
    body: bytes = b""
    packed_body: bytes = b""


class StatusListEndpoint:
    """Serves the status lists of an issuer, and the document that names them all.

    Args:
        lists: what the lists say.
        keys: know which key signs.
        config: the issuer's own settings.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        lists: StatusLists,
        keys: SigningKeys,
        config: IssuerConfig,
        *,
        clock: Callable[[], int],
    ) -> None:
        self._lists = lists
        self._keys = keys
        self._config = config
        self._clock = clock
        self._signed: dict[Key, _Signed] = {}
        self._all = {LISTS_PATH, config.path + LISTS_PATH}
        self._cache_control = b"public, max-age=%d" % config.status_list_max_age

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD; anything else is 405."""
        if scope["method"] not in ("GET", "HEAD"):
            await refuse_method(send)
            return
        now = self._clock()
        if self._lists.as_of is None:
            await _try_again(send)
        elif scope["path"] in self._all:
            await self._send_names(scope, send, now)
        else:
            await self._send_list(scope, send, now)

    async def _send_names(self, scope: Scope, send: Send, now: int) -> None:
        uris = [self._uri(key) for key in self._lists.live(now)]
        body = json.dumps({"status_lists": uris}, separators=(",", ":")).encode()
        await send_document(scope, send, self._headers(strong_etag(body)), _UNSTORED[:1], body)

    async def _send_list(self, scope: Scope, send: Send, now: int) -> None:
        head, _, name = scope["path"].rpartition("/")
        key = parse_list_id(name) if head in self._all else None
        if key is None or not self._lists.is_live(*key, now):
            await respond(send, 404, _UNSTORED, b'{"error":"not_found"}')
            return
        try:
            signed = await self._sign(key, now)
        except (NoSigningKey, SignerUnavailable):
            signed = None
        if signed is None:
            await _try_again(send)
            return
        # §8.2: compressed if asked for; a weak tag is of both forms (RFC 9110 §8.8.1).
        headers = [*self._headers(signed.etag), (b"vary", b"accept-encoding")]
        if takes_gzip(scope):
            content: Headers = (*_CONTENT, (b"content-encoding", b"gzip"))
            await send_document(scope, send, headers, content, signed.packed_body)
        else:
            await send_document(scope, send, headers, _CONTENT, signed.body)

    def _headers(self, etag: bytes) -> Headers:
        return ((b"cache-control", self._cache_control), (b"etag", etag))

    def _uri(self, key: Key) -> str:
        return f"{self._config.base}{LISTS_PATH}/{key[0]}-{key[1]}"

    async def _sign(self, key: Key, now: int) -> _Signed | None:
        """Return a list as it is now; None if too long ago for it to count.

        Raises:
            NoSigningKey, SignerUnavailable: it cannot be signed.
        """
        signed = self._signed.get(key)
        if signed is None:
            live = {
                each: kept for each, kept in self._signed.items() if self._lists.is_live(*each, now)
            }
            self._signed = live
            signed = live[key] = _Signed()
        async with signed.lock:
            signer = self._keys.signer(now)
            edition = self._edition(key, signer.kid)
            if edition.expires_at <= now:
                return None
            if signed.etag != edition.etag:
                await self._renew(signed, key, edition, signer)
        return signed

    def _edition(self, key: Key, kid: str) -> _Edition:
        lists, life = self._lists, self._config.status_list_life
        # Before the entries are read: they may tell of more than it, and never of less.
        as_of, version = lists.as_of or 0, lists.version(*key)
        period = life // 3
        epoch = as_of // period
        # Numbers of another feed, such as after a failover, may stand for other changes, and a
        # validator must not keep what a key signed that was withdrawn.
        origin = zlib.crc32(f"{version.feed} {kid}".encode())
        return _Edition(
            etag=f'W/"{origin:08x}-{version.change}-{epoch}"'.encode(),
            version=version,
            # As true as what is read of the registry.
            issued_at=as_of,
            expires_at=(epoch + 1) * period + life,
        )

    async def _renew(self, signed: _Signed, key: Key, edition: _Edition, signer: Signer) -> None:
        packed = self._lists.packed(*key)
        header = header_segment(signer.alg, signer.kid, LIST_TYPE)

        def prepare() -> bytes:
            return build_signing_input(header, self._claims(key, edition, packed))

        signing_input = await asyncio.to_thread(prepare)
        body = assemble(signing_input, await signer.sign(signing_input)).encode("ascii")
        compressed = await asyncio.to_thread(zlib.compress, body, _GZIP_LEVEL, _GZIP)
        signed.etag, signed.body, signed.packed_body = edition.etag, body, compressed

    def _claims(self, key: Key, edition: _Edition, packed: bytes) -> dict[str, object]:
        """Write the claims of a list (Token Status List §5.1)."""
        return {
            "iss": self._config.issuer,
            "sub": self._uri(key),
            "iat": edition.issued_at,
            "exp": edition.expires_at,
            "ttl": self._config.status_list_ttl,
            # A member of our own, by which validators tell an older list from a newer one: `iat` is
            # of the clock of this node, and others have theirs.
            "status_list_version": {
                "feed": f"{zlib.crc32(edition.version.feed.encode()):08x}",
                "change": edition.version.change,
            },
            "status_list": {
                "bits": BITS,
                "lst": encode_base64url(_compress(packed)),
                "aggregation_uri": self._config.base + LISTS_PATH,
            },
        }


def _compress(packed: bytes) -> bytes:
    """Compress the entries of a list (§4.1).

    Runs of one byte are all that there is to find in it: to look for nothing else comes within 10 %
    of the smallest size and takes a twentieth of the time, or less.
    """
    deflate = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return deflate.compress(packed) + deflate.flush()


async def _try_again(send: Send) -> None:
    headers = (*_UNSTORED, (b"retry-after", b"%d" % RETRY_SECONDS))
    await respond(send, 503, headers, b'{"error":"temporarily_unavailable"}')
