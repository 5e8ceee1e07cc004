"""The token inspector: a page that tells why a token is refused, in the browser that shows it.

One document with its script and style inside, so that it can be saved as a file. What it judges by
is handed to it as data: the names, codes, clauses and bounds of `resource_api`. Its policy lets it
ask its own origin alone (CSP), so that no token leaves the browser; beside it stands what is
published about the times of the keys.
"""

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.resources import files

from issuer.endpoints.asgi import Headers, Receive, Scope, Send
from issuer.endpoints.document import (
    Document,
    DocumentEndpoint,
    refuse_method,
    send_document,
    strong_etag,
    takes_gzip,
)
from keys.encoding import MAX_DEPTH
from keys.errors import JWT_DIAGNOSES
from keys.identifiers import MAXIMUM_LENGTH
from keys.jwk import PUBLISHED_TEST_KEYS
from keys.jwks import MAXIMUM_BYTES, MAXIMUM_KEYS
from keys.jwt import (
    FORBIDDEN_HEADERS,
    FUTURE_IAT,
    MAX_IDENTITY_LENGTH,
    MAX_KID_LENGTH,
    SPACE_INSIDE,
)
from keys.key_types import ALGORITHMS, MAXIMUM_RSA_BITS, MAXIMUM_RSA_EXPONENT_OCTETS
from keys.ring import RingEntry, published
from resource_api.check_descriptions import DESCRIPTIONS
from resource_api.confirmation import REQUIRED_MEMBERS
from resource_api.errors import Reason
from resource_api.reasons import DIAGNOSES
from resource_api.status_list import MAX_LIST_BYTES, MAX_UNFOLDED_BYTES
from watchword.ambient import wall_clock
from watchword.settings import Settings
from watchword.token_policy import make_token_policy

_CONTENT = ((b"content-type", b"text/html; charset=utf-8"),)
_SCRIPTS = ("encoding", "keys", "checks", "status_list", "describe", "page")
# What a token can be refused for without a request around it.
_REASONS = (
    *(Reason(fault) for fault in JWT_DIAGNOSES),
    Reason.NO_KEYS,
    Reason.UNKNOWN_KEY,
    Reason.WRONG_ISSUER,
    Reason.WRONG_AUDIENCE,
    Reason.INVALID_CONFIRMATION,
    Reason.BINDING_REQUIRED,
    Reason.INVALID_STATUS,
    Reason.UNCHECKED_STATUS,
    Reason.TOKEN_REVOKED,
    Reason.TOKEN_SUSPENDED,
    Reason.STATUS_UNAVAILABLE,
    Reason.INVALID_SCOPE_CLAIM,
    Reason.INVALID_DETAILS_CLAIM,
)


class InspectorApp:
    """Serves the page, and what has happened to the keys.

    Args:
        settings: all settings, checked.
        entries: gives the keys with their states at a time in seconds since the epoch.
    """

    def __init__(self, settings: Settings, entries: Callable[[int], Sequence[RingEntry]]) -> None:
        self._keys = DocumentEndpoint(lambda: Document(write_key_times(entries, wall_clock()), 0))
        self._body, policy = build_page(settings)
        self._packed = gzip.compress(self._body, mtime=0)
        self._headers: Headers = (
            (b"cache-control", b"no-cache"),
            # Weak, since it is of both bodies (RFC 9110 §8.8.3).
            (b"etag", b"W/" + strong_etag(self._body)),
            (b"vary", b"Accept-Encoding"),
            # It has to be a header: a page cannot forbid by itself that others frame it.
            (b"content-security-policy", f"{policy}; frame-ancestors 'none'".encode()),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD; anything else is 405."""
        if scope["path"].endswith("/keys"):
            await self._keys(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await refuse_method(send)
        elif takes_gzip(scope):
            content = (*_CONTENT, (b"content-encoding", b"gzip"))
            await send_document(scope, send, self._headers, content, self._packed)
        else:
            await send_document(scope, send, self._headers, _CONTENT, self._body)


def build_page(settings: Settings) -> tuple[bytes, str]:
    """Write the page, and the Content-Security-Policy that it has inside and is served with.

    Args:
        settings: all settings, checked.
    """
    sources = files("watchword").joinpath("inspector")

    def read(name: str) -> str:
        return sources.joinpath(name).read_text(encoding="utf-8")

    scripts = "\n".join(_stripped(read(f"{name}.js")) for name in _SCRIPTS)
    script = (
        '(() => {\n"use strict";\n'
        'const FACTS = JSON.parse(document.getElementById("facts").textContent);\n'
        f"{scripts}\n}})();"
    )
    style = _stripped(read("inspector.css"))
    # In the page too: one that was saved as a file keeps it, and can then ask nothing at all.
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    # `<` would end the element that the data stand in.
    facts = json.dumps(_facts(settings), separators=(",", ":")).replace("<", "\\u003c")
    page = _stripped(read("page.html"))
    for name, text in (
        ("policy", html.escape(policy)),
        ("version", html.escape(version("watchword"))),
        ("style", style),
        ("facts", facts),
        ("script", script),
    ):
        page = page.replace(f"@{name}@", text)
    return page.encode(), policy


def _stripped(source: str) -> str:
    """Leave out indentation and lines that only comment; nothing spans lines that would change."""
    lines = map(str.strip, source.splitlines())
    comments = ("//", "/**", "* ", "*/")
    return "\n".join(line for line in lines if line and not line.startswith(comments))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _facts(settings: Settings) -> dict[str, object]:
    """Give what the page judges by, from where validation has it."""
    policy = make_token_policy(settings)
    return {
        "issuer": policy.issuer,
        "resource": policy.resource,
        "clauses": {name: each.clause for name, each in DESCRIPTIONS.items()},
        "reasons": {reason: DIAGNOSES[reason] for reason in _REASONS},
        # Of keys: those of a token are in `accepted`, and a status list may have any.
        "algorithms": {
            each.name: {"kty": each.kty, "crv": each.curve} for each in ALGORITHMS.values()
        },
        "accepted": sorted(policy.algorithms),
        "bindings": sorted(REQUIRED_MEMBERS[policy.binding_required]),
        "forbidden": sorted(FORBIDDEN_HEADERS),
        "spaceInside": SPACE_INSIDE,
        "testKeys": [*PUBLISHED_TEST_KEYS],
        "limits": {
            "depth": MAX_DEPTH,
            "futureIat": FUTURE_IAT,
            "identity": MAX_IDENTITY_LENGTH,
            "jwksBytes": MAXIMUM_BYTES,
            "jwksKeys": MAXIMUM_KEYS,
            "kid": MAX_KID_LENGTH,
            "leeway": policy.leeway,
            "lifetime": policy.max_lifetime,
            "listBytes": MAX_LIST_BYTES,
            "rsaBits": MAXIMUM_RSA_BITS,
            "rsaExponentBytes": MAXIMUM_RSA_EXPONENT_OCTETS,
            "token": policy.max_token_bytes,
            "unfoldedBytes": MAX_UNFOLDED_BYTES,
            "uri": MAXIMUM_LENGTH,
        },
    }


def write_key_times(entries: Callable[[int], Sequence[RingEntry]], now: int) -> bytes:
    """Tell of each published key what has happened to it; what is to come is not told.

    Whoever looked at the key set and at tokens all the time would know as much.

    Args:
        entries: gives the keys with their states at a time.
        now: seconds since the epoch.
    """
    ring = entries(now)
    kids = {key.kid for key in published(ring)}
    keys = []
    for entry in ring:
        key = entry.key
        if key.kid in kids:
            times = {
                "published_at": key.published_at,
                "signs_from": key.signs_from,
                "superseded_at": entry.superseded_at,
            }
            past = {
                name: time if time is not None and time <= now else None
                for name, time in times.items()
            }
            keys.append({"kid": key.kid, "alg": key.alg, "state": entry.state, **past})
    return json.dumps({"keys": keys}, separators=(",", ":")).encode()
