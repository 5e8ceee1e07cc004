"""The policy of one protected resource: what it accepts, from which issuer, within which bounds."""

from collections.abc import Callable
from dataclasses import dataclass

from keys.algorithms import ALGORITHMS
from keys.identifiers import check_issuer, check_resource
from resource_api.scope import check_scope_names

_MAX_LEEWAY = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePolicy:
    """Say which tokens one API accepts; an instance that exists is sound.

    One issuer and one resource identifier (audience); another pair is another instance. Times are
    seconds.

    Raises:
        ValueError: a value that would make the checks meaningless.
    """

    issuer: str
    """The issuer identifier, compared byte for byte with `iss` (RFC 9068 §4)."""
    resource: str
    """This API's own identifier, which `aud` must contain (RFC 9068 §4, RFC 9728 §2)."""
    algorithms: frozenset[str] = frozenset(ALGORITHMS)
    leeway: int = 10
    """How far two clocks may differ; at most 60."""
    max_token_bytes: int = 8192
    max_lifetime: int = 86_400
    """The longest `exp - iat` that is accepted."""
    realm: str = "api"
    scopes_supported: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        _check("issuer", check_issuer, self.issuer)
        _check("resource", check_resource, self.resource)
        if not self.algorithms or not self.algorithms <= ALGORITHMS.keys():
            raise ValueError("algorithms must be some of " + ", ".join(ALGORITHMS))
        if not 0 <= self.leeway <= _MAX_LEEWAY:
            raise ValueError("leeway must be between 0 and 60 seconds")
        if self.max_token_bytes <= 0 or self.max_lifetime <= 0:
            raise ValueError("bounds must be positive")
        if not self.realm.isascii() or not self.realm.isprintable() or set('"\\') & set(self.realm):
            raise ValueError("realm must be printable ASCII without quotes")
        if self.scopes_supported:
            check_scope_names(self.scopes_supported)


def _check(name: str, check: Callable[[str], object], value: str) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
