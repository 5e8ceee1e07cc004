"""What administrators write: documents of creation, merge patches (RFC 7396), new secrets."""

from collections.abc import Callable
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import (
    SECRET_PATTERN,
    ClientSecret,
    NewSecret,
    check_secret,
    describe_secret,
    generate_secret,
)
from issuer.registry.errors import InvalidDocument, InvalidValue
from issuer.registry.mistakes import Mistake, mistakes_of, unknown
from issuer.registry.names import check_resource_identifier
from issuer.registry.resource import Resource
from issuer.registry.schema import (
    MODEL,
    Document,
    Json,
    Scopes,
    Text,
    Time,
    members_of,
    read,
    write_time,
)

T = TypeVar("T")

_NOWHERE = object()

SecretText = Annotated[
    Text, AfterValidator(check_secret), Field(json_schema_extra={"pattern": SECRET_PATTERN})
]


def _check_identifiers(resources: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(check_resource_identifier(each) for each in resources)


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class WantedClientDocument(ClientRegistration):
    """A client as an administrator wants it.

    Instead of `grants` it may say `resources` and `scope`, which is the same with less to write.
    """

    resources: (
        Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(_check_identifiers)] | None
    ) = Field(
        default=None, description="what it may get tokens for; the configured API if left out"
    )
    scope: Scopes | None = Field(
        default=None, description="what it may ask for on them; nothing if left out"
    )

    @model_validator(mode="wrap")
    @classmethod
    def _check_grants(cls, document: object, read: ModelWrapValidatorHandler[Self]) -> Self:
        found = read(document)
        members = document if isinstance(document, dict) else {}
        if "grants" in members and {"resources", "scope"} & members.keys():
            raise ValueError("has either grants, or resources and scope")
        if "all_scopes" in members and {"grants", "scope"} & members.keys():
            raise ValueError("has either all_scopes, or scope or grants")
        return found


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class NewClientDocument(WantedClientDocument):
    """A client to be registered."""

    all_scopes: bool = Field(
        default=False,
        strict=True,
        description="instead of `scope`: all that its resources have now",
    )
    client_secret: SecretText | None = Field(
        default=None, repr=False, description="its first secret; one is made if left out"
    )
    client_secret_expires_at: Time | None = Field(
        default=None, description="when its first secret ends; never if left out"
    )

    @model_validator(mode="after")
    def _check_secret(self) -> Self:
        method = self.token_endpoint_auth_method
        given = self.client_secret is not None or self.client_secret_expires_at is not None
        if given and not method.uses_secret:
            raise ValueError(f"{method} has no secret")
        return self


class NewSecretDocument(Document):
    """A secret to be added."""

    client_secret: SecretText | None = Field(
        None, repr=False, description="the secret; one is made if left out"
    )
    starts_at: Time | None = Field(None, description="from when it counts; at once if left out")
    expires_at: Time | None = Field(None, description="when it ends; never if left out")
    expires_in: int | None = Field(
        None, ge=1, description="seconds from now until it ends, instead of `expires_at`"
    )

    @model_validator(mode="after")
    def _check_end(self) -> Self:
        if self.expires_at is not None and self.expires_in is not None:
            raise ValueError("has either expires_at or expires_in")
        return self

    def end(self, now: int) -> int | None:
        """Return when it ends, seconds since the epoch."""
        if self.expires_in is not None:
            return now + self.expires_in
        return self.expires_at


def read_document(model: type[T], document: Json) -> T:
    """Read a document.

    Raises:
        InvalidDocument: with every mistake in it.
    """
    try:
        return read(model, document)
    except ValidationError as error:
        raise InvalidDocument(mistakes_of(error, model)) from None


def built(build: Callable[[], T]) -> T:
    """Count what the registry cannot accept of a whole document as a mistake in it.

    Raises:
        InvalidDocument: with that mistake.
    """
    try:
        return build()
    except InvalidValue as error:
        raise InvalidDocument([Mistake((), str(error))]) from None


def merge_patch(target: Json, patch: Json) -> Json:
    """Return the patched document; neither argument is changed (RFC 7396 §2)."""
    merged: Json = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged


def _merge(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(patch, dict):
        return patch
    return merge_patch(target if isinstance(target, dict) else {}, patch)


def patched_client(shown: Json, patch: Json) -> WantedClientDocument:
    """Read what a client becomes.

    Args:
        shown: its document as it is shown now.
        patch: its changes. `scope` and `resources` are shown, so they may be patched as well,
            instead of `grants`; the one of them that is left out stays.

    Raises:
        InvalidDocument: with every mistake in it.
    """
    changes = _changes(shown, patch)
    flat = {"scope", "resources"} & changes.keys()
    # A null cannot tell whether one of the two or both shall be empty.
    if nothing := [name for name in sorted(flat) if changes[name] is None]:
        raise InvalidDocument(
            [Mistake((name,), "must not be null; change grants") for name in nothing]
        )
    if changes.get("grants", _NOWHERE) is None:
        changes["grants"] = []
    if "resources" in flat and not (shown["scope"] or "scope" in flat):
        raise InvalidDocument(
            [Mistake(("scope",), "is missing: say what it may ask for on the resources")]
        )
    # What is empty is left out: no client can be wanted that way.
    kept = {name: shown[name] for name in ("scope", "resources") if flat and shown[name]}
    hidden = {"scope", "resources"} | ({"grants"} if flat else set())
    basis = {name: value for name, value in shown.items() if name not in hidden} | kept
    return _patched(WantedClientDocument, basis, changes, fixed="client_id")


def patched_resource(shown: Json, patch: Json) -> Resource:
    """Read what a resource becomes.

    Args:
        shown: its document as it is shown now.
        patch: its changes.

    Raises:
        InvalidDocument: with every mistake in it.
    """
    return _patched(Resource, shown, _changes(shown, patch), fixed="resource")


def _changes(shown: Json, patch: Json) -> Json:
    # A caller that sends back what it was shown, with a change in it, means the change alone.
    # Types are compared too: in Python 0 equals False, and in a document it is another value.
    return {
        name: value
        for name, value in patch.items()
        if shown.get(name, _NOWHERE) != value or type(shown[name]) is not type(value)
    }


def _patched(model: type[T], basis: Json, changes: Json, *, fixed: str) -> T:
    members = members_of(model)
    known = set(members) - {fixed}
    mistakes = [
        Mistake(
            (name,),
            "cannot be changed" if name == fixed or name in basis else unknown(name, members),
        )
        for name in changes
        if name not in known
    ]
    merged = merge_patch(basis, {name: changes[name] for name in changes if name in known})
    document = {name: value for name, value in merged.items() if name in members}
    try:
        after = read_document(model, document)
    except InvalidDocument as error:
        raise InvalidDocument([*mistakes, *error.mistakes]) from None
    if mistakes:
        raise InvalidDocument(mistakes)
    return after


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class MadeSecret:
    """A secret ready to be added.

    Args:
        new: what is kept.
        supplied: the text, if it was brought.
        generated: the text, if it was made here: shown once, in the answer.
    """

    new: NewSecret
    supplied: str | None = field(repr=False)
    generated: str | None = field(repr=False)

    def in_client_response(self) -> Json:
        """Describe it in the answer to the registration of its client.

        Times are RFC 3339 here as everywhere in our documents; RFC 7591 §3.2.1 would have a number.
        """
        return self._shown() | {
            "secret_id": self.new.hash.secret_id,
            "client_secret_expires_at": write_time(self.new.expires_at),
        }

    def in_secret_response(self, added: ClientSecret) -> Json:
        """Describe it in the answer to its addition."""
        described = describe_secret(added)
        return {"secret_id": described["secret_id"], **self._shown(), **described}

    def is_as_kept(self, kept: ClientSecret | None) -> bool:
        """Tell whether a retry brings the secret of the first time, as far as that is known."""
        return self.supplied is None or kept is None or kept.hash.verify(self.supplied)

    def _shown(self) -> Json:
        return {} if self.generated is None else {"client_secret": self.generated}


def make_secret(
    supplied: str | None,
    *,
    starts_at: int | None = None,
    expires_at: int | None,
    now: int,
    random_bytes: Callable[[int], bytes],
) -> MadeSecret:
    """Make a secret, or take the one supplied; a short one takes some 40 ms to hash.

    Args:
        supplied: its text, of 8 to 512 printable ASCII characters.
        starts_at: from when it counts, seconds since the epoch; None for at once.
        expires_at: when it ends; None for never.
        now: seconds since the epoch.
        random_bytes: the operating system's randomness.

    Raises:
        InvalidValue: it would end before it can be used.
    """
    if expires_at is not None and expires_at <= now:
        raise InvalidValue("a secret must end in the future")
    text = generate_secret(random_bytes) if supplied is None else supplied
    return MadeSecret(
        new=NewSecret.of(text, random_bytes, starts_at=starts_at, expires_at=expires_at),
        supplied=supplied,
        generated=text if supplied is None else None,
    )
