"""What the access tokens of an issuer look like, as data: RFC 9068, and what other vendors have.

Pure. A profile says where a token has what RFC 9068 has in `typ`, `client_id`, `scope`, `jti` and
`aud`, and nothing else: signature, algorithms, times, issuer, bounds and the grammar of a scope are
checked for every profile alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from keys.jwt import ACCESS_TOKEN_TYPE, CERTIFICATE_THUMBPRINTS

Path: TypeAlias = str | tuple[str, ...]
"""A claim by its name, or a member of a claim by the names that lead to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProfile:
    """Say how tokens of an issuer differ from those of RFC 9068; the defaults say that they do not.

    A profile of one's own is made of another one: `replace(PROFILES["keycloak"], scopes=…)`.

    Raises:
        ValueError: no type, no client claim or no scope claim, or a text in place of a tuple.
    """

    types: tuple[str | None, ...] = (ACCESS_TOKEN_TYPE,)
    """The accepted `typ` header values, in lower case without `application/`; None for no `typ`."""
    marks: tuple[tuple[str, str], ...] = ()
    """Claims that an access token has with just these values, and that tell it from an ID token
    where `typ` does not (RFC 8725 §3.12)."""
    client: tuple[str, ...] = ("client_id",)
    """The claims that name the client, the first of them that a token has."""
    scopes: tuple[Path, ...] = ("scope",)
    """Where the scopes are, the first of them that a token has: a text as RFC 9068 has it, or a
    list of texts, one scope each."""
    identifier: tuple[str, ...] = ("jti",)
    """The claims that identify the token, the first of them that a token has."""
    must_be_identified: bool = True
    """Whether a token needs an identifier; else `AccessToken.jti` is empty where it has none."""
    plain_audience: bool = False
    """Whether `resource` may be a word such as `orders-api` instead of a URI."""
    audience_in_scope: bool = False
    """Whether a token without `aud` is for the APIs that its scopes are of, each written as the
    API's identifier, a slash and a name without one."""
    may_have_thumbprints: bool = False
    """Whether the header may have `x5t` and `x5t#S256`, which are not looked at: a key is found by
    its `kid` among those of the issuer."""

    def __post_init__(self) -> None:
        """Refuse what would accept nothing, or name each letter of a text."""
        for name in ("types", "client", "scopes"):
            if not getattr(self, name):
                raise ValueError(f"{name} of a profile must name at least one")
        for name in ("types", "marks", "client", "scopes", "identifier"):
            if not isinstance(getattr(self, name), tuple):
                raise ValueError(f"{name} of a profile must be a tuple")

    @property
    def ignored_headers(self) -> frozenset[str]:
        """The members of a header that are ignored though they are refused elsewhere."""
        return CERTIFICATE_THUMBPRINTS if self.may_have_thumbprints else frozenset()

    def translate(self, claims: Mapping[str, Any], resource: str) -> Mapping[str, Any]:
        """Give the claims under the names, and in the forms, that they have in RFC 9068.

        What cannot be in such a form is left as it is, for a check to refuse.

        Args:
            claims: of the token.
            resource: the API that the token is presented to.
        """
        if self is RFC9068:
            return claims
        told = dict(claims)
        for name, paths in (
            ("client_id", self.client),
            ("scope", self.scopes),
            ("jti", self.identifier),
        ):
            told.pop(name, None)
            value = _first(claims, paths)
            if value is not None:
                told[name] = _spaced(value) if name == "scope" else value
        if self.audience_in_scope and "aud" not in claims and _names(told.get("scope"), resource):
            told["aud"] = resource
        return told


def _first(claims: Mapping[str, Any], paths: tuple[Path, ...]) -> object:
    """Give what the first path leads to that leads anywhere; null counts as nowhere."""
    for path in paths:
        value: Any = claims
        for name in (path,) if isinstance(path, str) else path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None


def _spaced(value: object) -> object:
    """Write a list of scopes as a text; one that has a space in it would become two."""
    if isinstance(value, list) and all(isinstance(name, str) and " " not in name for name in value):
        return " ".join(value)
    return value


def _names(scope: object, resource: str) -> bool:
    # The last slash divides: `https://api.example/v2/read` is of another API than `…/read`.
    return isinstance(scope, str) and any(
        name.rpartition("/")[0] == resource for name in scope.split(" ")
    )


RFC9068 = TokenProfile()

PROFILES: Mapping[str, TokenProfile] = MappingProxyType(
    {
        "rfc9068": RFC9068,
        # Keycloak's ID tokens have the same `typ` header and another claim of this name. The client
        # scope `service_account` adds `client_id`; `azp` is there without it.
        "keycloak": TokenProfile(
            types=("jwt", ACCESS_TOKEN_TYPE),
            marks=(("typ", "Bearer"),),
            client=("azp", "client_id"),
            plain_audience=True,
        ),
        # With Auth0's own token profile or its RFC 9068 one. `permissions` are those of the user,
        # which the client need not have been given, so they are no scopes.
        "auth0": TokenProfile(
            types=("jwt", ACCESS_TOKEN_TYPE),
            client=("azp", "client_id"),
            must_be_identified=False,
            plain_audience=True,
        ),
        # v2.0 tokens (`azp`) and v1.0 (`appid`, `x5t`). ID tokens have neither client claim. What a
        # user lets a client do is in `scp`; only a token without it has its own rights in `roles`.
        "entra": TokenProfile(
            types=("jwt",),
            client=("azp", "appid"),
            scopes=("scp", "roles"),
            identifier=("uti",),
            must_be_identified=False,
            plain_audience=True,
            may_have_thumbprints=True,
        ),
        # No `typ` in the header, and no `aud` unless the client asked with `resource`; scopes are
        # `RESOURCE-SERVER/NAME`.
        "cognito": TokenProfile(
            types=(None,),
            marks=(("token_use", "access"),),
            plain_audience=True,
            audience_in_scope=True,
        ),
        # Of a custom authorization server: tokens of the organization's own are for Okta alone.
        "okta": TokenProfile(types=(None,), client=("cid",), scopes=("scp",), plain_audience=True),
    }
)
"""The profiles that have a name."""


def find_profile(profile: TokenProfile | str) -> TokenProfile:
    """Give the profile of a name, or the profile itself.

    Raises:
        ValueError: no profile has this name.
    """
    found = PROFILES.get(profile) if isinstance(profile, str) else profile
    if found is None:
        raise ValueError(f"must be one of {', '.join(PROFILES)}, or a TokenProfile")
    return found
