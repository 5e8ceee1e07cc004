"""Tell a retry from a new request, by the key that the caller chose for it.

A retry gets the answer of the first time without its secret, for only hashes are kept.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from issuer.administration.documents import MadeSecret
from issuer.administration.operations import Versioned
from issuer.registry.errors import InvalidValue, KeyReused
from issuer.registry.schema import Json
from issuer.storage.edit import RegistryEdit
from issuer.storage.rows import KeptAnswer

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
KEY_PATTERN = f"^{_KEY.pattern}$"
"""What an idempotency key may be, for JSON Schema."""
SHOWN_ONCE = ("client_secret", "token")
"""Members of answers that must not be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retryable:
    """A request that may come again.

    Args:
        key_hash: of the caller's key and the caller, so that callers never meet.
        fingerprint: of what is asked for.
    """

    key_hash: str
    fingerprint: str


def parse_retryable(key: str, *, actor: str, operation: str, document: Json) -> Retryable:
    """Build what a retry is known by.

    Args:
        key: chosen by the caller.
        actor: who asks.
        operation: what is to be done, and to whom.
        document: what was sent.

    Raises:
        InvalidValue: the key is not 1 to 255 visible ASCII characters.
    """
    if not _KEY.fullmatch(key):
        raise InvalidValue("an idempotency key is 1 to 255 visible ASCII characters")
    # Not even a hash of a secret that a person chose may be kept: it could be guessed from it.
    # Whether the secret is the same is told by the hash that the registry has of it.
    public = document | {name: True for name in SHOWN_ONCE if name in document}
    text = json.dumps([operation, public], sort_keys=True, separators=(",", ":"))
    return Retryable(
        key_hash=sha256(f"{actor}\0{key}".encode()).hexdigest(),
        fingerprint=sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
    )


def once(
    edit: RegistryEdit,
    request: Retryable,
    work: Callable[[RegistryEdit], Versioned],
    client_id: str = "",
    made: MadeSecret | None = None,
) -> Versioned:
    """Make something, unless this very request was answered before: then give that answer.

    Args:
        edit: the transaction.
        request: what a retry is known by.
        work: makes it.
        client_id: the client that it is for.
        made: the secret that comes with it; a retry must bring the very secret of the first time.

    Raises:
        KeyReused: the key came with another request.
    """
    kept = edit.find_answer(request.key_hash)
    if kept is None:
        created = work(edit)
        document = {k: v for k, v in created.document.items() if k not in SHOWN_ONCE}
        answer = {"document": document, "revision": created.revision}
        edit.keep_answer(
            request.key_hash, KeptAnswer(fingerprint=request.fingerprint, answer=answer)
        )
        return created
    if kept.fingerprint != request.fingerprint:
        raise KeyReused("the idempotency key was used before, for another request")
    document, revision = kept.answer["document"], kept.answer["revision"]
    client = None if made is None else edit.find_client(client_id)
    if client is not None and made is not None:
        secrets = {each.secret_id: each for each in client.secrets}
        if not made.is_as_kept(secrets.get(document.get("secret_id", ""))):
            raise KeyReused("the idempotency key was used before, with another secret")
    return Versioned(document=document, revision=revision, replayed=True)
