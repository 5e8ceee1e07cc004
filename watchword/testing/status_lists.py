"""Status lists as an issuer signs them, and every ill-formed one by naming the single change."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from keys.encoding import encode_base64url
from watchword.testing.forge import DROP, NOW, TokenForge, dump


def pack(statuses: Sequence[int], bits: int) -> bytes:
    """Write statuses into bytes, one after another, each from the least significant bit on."""
    number = sum(status << index * bits for index, status in enumerate(statuses))
    return number.to_bytes(-(-len(statuses) * bits // 8), "little")


def status_list(data: bytes, bits: int = 2) -> dict[str, Any]:
    """Write the member `status_list` over these bytes."""
    return {"bits": bits, "lst": encode_base64url(zlib.compress(data, 9))}


def list_token(
    forge: TokenForge,
    uri: str,
    data: bytes = bytes(8),
    *,
    bits: int = 2,
    header: Mapping[str, object] | None = None,
    **changes: object,
) -> bytes:
    """Sign a list; `changes` are other claims, `header` those of the header, DROP leaves out."""
    good = {"alg": forge.jwk.alg, "typ": "statuslist+jwt", "kid": forge.jwk.kid}
    claims: Mapping[str, object] = {
        "sub": uri,
        "iat": NOW,
        "exp": NOW + 300,
        "ttl": 8,
        "status_list": status_list(data, bits),
    }
    kept = [
        {name: value for name, value in each.items() if value is not DROP}
        for each in (good | dict(header or {}), {**claims, **changes})
    ]
    return forge.raw(dump(kept[0]), dump(kept[1]))


def status(uri: str, idx: object = 0) -> dict[str, Any]:
    """Write the claim `status` of a token."""
    return {"status_list": {"idx": idx, "uri": uri}}
