"""Trust rules: which token of which other issuer stands for a client (RFC 7521 §4, RFC 7523 §3).

A rule compares claims as they are, never by a prefix or a pattern: `repo:octocat/shop` is a prefix
of `repo:octocat/shop-2`, and a name can be had by another once its owner gave it up. Which token
fits a rule, `issuer.federation` says.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from issuer.registry.auth_methods import check_jwks
from issuer.registry.errors import InvalidValue
from issuer.registry.schema import MODEL, Json, Text, check_json_size, is_unset
from keys.identifiers import check_issuer, split_server_url

MAXIMUM_IDENTITIES = 20
"""Rules that one client may have; a request of it is compared with each."""

GITHUB = "https://token.actions.githubusercontent.com"
"""The issuer of the tokens of GitHub Actions; those of an enterprise may have a path behind it."""

_MAXIMUM_SUBJECT_LENGTH = 1024
_MAXIMUM_CLAIMS_BYTES = 4096
# What members of a rule are about, and what every token has another value of.
_NO_CLAIMS_OF_A_RULE = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})
# SPIFFE-ID §2.1, §2.2: lower case, and no percent encoding; segments are never `.` or `..`.
_TRUST_DOMAIN = re.compile(r"spiffe://[a-z0-9._-]{1,255}")
_SPIFFE_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)+")


def is_trust_domain(issuer: str) -> bool:
    """Tell whether the issuer of a rule is a SPIFFE trust domain, such as `spiffe://example.org`."""
    return issuer.startswith("spiffe://")


def jwt_keys(issuer: str, document: Json) -> Json:
    """Return the JWK set that verifies an issuer's JWTs, of the one that it publishes.

    The bundle of a trust domain has keys of X.509-SVIDs as well, and marks those of JWT-SVIDs by a
    `use` that JOSE does not know (SPIFFE Trust Domain and Bundle §4.2.1).
    """
    keys = document.get("keys")
    if not is_trust_domain(issuer) or not isinstance(keys, list):
        return document
    ours = [each for each in keys if isinstance(each, dict) and each.get("use") == "jwt-svid"]
    return {"keys": [{**each, "use": "sig"} for each in ours]}


def _check_issuer(issuer: str) -> str:
    if is_trust_domain(issuer):
        if not _TRUST_DOMAIN.fullmatch(issuer):
            raise InvalidValue("a SPIFFE trust domain is spiffe:// and a name in lower case")
        return issuer
    try:
        return check_issuer(issuer, allow_insecure_http=True)
    except ValueError as error:
        raise InvalidValue(str(error)) from None


def _check_text(text: str) -> str:
    if not (1 <= len(text) <= _MAXIMUM_SUBJECT_LENGTH and text.isprintable()):
        raise InvalidValue(f"must be 1 to {_MAXIMUM_SUBJECT_LENGTH} printable characters")
    if "*" in text:
        raise InvalidValue("is compared as it is, so that `*` matches nothing else: write it out")
    return text


def _check_claims(claims: dict[str, Any]) -> dict[str, Any]:
    check_json_size(claims, "claims", maximum=_MAXIMUM_CLAIMS_BYTES)
    if taken := sorted(_NO_CLAIMS_OF_A_RULE & claims.keys()):
        raise InvalidValue(f"{taken[0]} is no claim to compare here; see issuer, subject, audience")
    _check_values(claims)
    return claims


def _check_values(claims: dict[str, Any]) -> None:
    for name, value in claims.items():
        if isinstance(value, dict) and value:
            _check_values(value)
        elif not isinstance(value, str | int) or value == "":
            raise InvalidValue(
                f"the claim {name[:100]!a} must be text, a whole number, true, false, or an object"
                " of such"
            )


def _check_jwks_uri(uri: str) -> str:
    """Return a URL unchanged if it may be asked; an operator may name a private host."""
    try:
        if not split_server_url(uri).may_be_asked(True):
            raise ValueError("must be https, unless plain http may lead to its host")
    except ValueError as error:
        raise InvalidValue(f"jwks_uri {error}") from None
    return uri


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class FederatedIdentity:
    """One rule: tokens of this issuer, for this audience, with this subject and these claims."""

    issuer: Annotated[Text, AfterValidator(_check_issuer)] = Field(
        description="who signs the tokens: `iss`, or a SPIFFE trust domain such as"
        " spiffe://example.org"
    )
    subject: Annotated[Text, AfterValidator(_check_text)] | None = Field(
        default=None, exclude_if=is_unset, description="`sub`, compared as it is"
    )
    claims: Annotated[dict[str, Any], AfterValidator(_check_claims)] = Field(
        default_factory=dict,
        exclude_if=is_unset,
        description="claims that the token must have with these very values; of an object, the"
        " members named",
    )
    audience: Annotated[Text, AfterValidator(_check_text)] | None = Field(
        default=None,
        exclude_if=is_unset,
        description="the only value of `aud`; this issuer's identifier if left out",
    )
    jwks: dict[str, Any] | None = Field(
        default=None,
        exclude_if=is_unset,
        description="the issuer's public keys, where this server cannot fetch them",
    )
    jwks_uri: Annotated[Text, AfterValidator(_check_jwks_uri)] | None = Field(
        default=None,
        exclude_if=is_unset,
        description="where the issuer publishes its keys; found by its metadata if left out",
    )

    def __post_init__(self) -> None:
        """Refuse a rule that would fit more than one workload, or whose keys cannot be had."""
        if self.subject is None and not self.claims:
            raise InvalidValue(
                "a federated identity needs a subject, or claims that tell whose it is"
            )
        if self.jwks is not None and self.jwks_uri is not None:
            raise InvalidValue("a federated identity has either jwks or jwks_uri")
        if self.audience == self.issuer:
            # Kubernetes gives such tokens for its own API server, which sees them all.
            raise InvalidValue(
                "audience is the issuer's own; have the token made for this server alone"
            )
        if is_trust_domain(self.issuer):
            self._check_trust_domain()
        elif self.issuer == GITHUB or self.issuer.startswith(f"{GITHUB}/"):
            self._check_github()
        if self.jwks is not None:
            check_jwks(jwt_keys(self.issuer, self.jwks))

    def _check_trust_domain(self) -> None:
        subject = self.subject or ""
        path = subject.removeprefix(self.issuer)
        if not subject.startswith(self.issuer) or not _SPIFFE_PATH.fullmatch(path):
            raise InvalidValue(f"subject must be a SPIFFE id such as {self.issuer}/orders")
        if self.jwks is None and self.jwks_uri is None:
            raise InvalidValue(
                "a trust domain needs keys: jwks_uri, its bundle endpoint, or the bundle as jwks"
            )

    def _check_github(self) -> None:
        # A repository that is deleted leaves its name to others, and its number to none.
        number = self.claims.get("repository_id")
        if not isinstance(number, str) or not (number.isascii() and number.isdecimal()):
            raise InvalidValue(
                "claims for GitHub need repository_id, the repository's number as text; see:"
                " gh api repos/OWNER/NAME --jq .id"
            )


def check_identities(
    identities: tuple[FederatedIdentity, ...],
) -> tuple[FederatedIdentity, ...]:
    """Return rules unchanged if there are not too many.

    Raises:
        InvalidValue: there are.
    """
    if len(identities) > MAXIMUM_IDENTITIES:
        raise InvalidValue(f"a client has at most {MAXIMUM_IDENTITIES} federated identities")
    return identities
