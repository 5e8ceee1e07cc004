"""Security profiles: what an issuer takes beyond what clients and resources ask for. Pure.

`FAPI2` is the part of the FAPI 2.0 Security Profile that is about the client credentials grant.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from issuer.registry.auth_methods import ASSERTION_ALGORITHMS, AuthMethod
from issuer.registry.client import ClientRegistration
from issuer.registry.errors import InvalidValue
from issuer.registry.resource import Resource
from issuer.registry.secret_seal import SecretSeal, check_method
from keys.dpop import PROOF_ALGORITHMS
from keys.key_types import ALGORITHMS

Registered: TypeAlias = ClientRegistration | Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityProfile:
    """What an issuer takes; each default is all that it knows.

    Args:
        name: as in `WATCHWORD_PROFILE`.
        methods: by which clients may authenticate.
        token_algorithms: what tokens may be signed with.
        assertion_algorithms: what client assertions may be signed with.
        proof_algorithms: what DPoP proofs may be signed with.
        only_bound: whether each token is bound to a key or a certificate.
        plain_audience: whether `aud` of a client assertion is a text, and no list of one.
    """

    name: str = ""
    methods: Collection[AuthMethod] = tuple(AuthMethod)
    token_algorithms: Collection[str] = tuple(ALGORITHMS)
    assertion_algorithms: Collection[str] = ASSERTION_ALGORITHMS
    proof_algorithms: Collection[str] = PROOF_ALGORITHMS
    only_bound: bool = False
    plain_audience: bool = False

    def check_change(self, before: Registered | None, after: Registered) -> None:
        """Refuse what the profile forbids, unless it was there: that may still be disabled.

        Args:
            before: the client or resource that is changed; None for a new one.
            after: what it becomes.

        Raises:
            InvalidValue: naming the first that is forbidden.
        """
        known = () if before is None else tuple(self.faults(before))
        for fault in self.faults(after):
            if fault not in known:
                raise InvalidValue(f"the profile {self.name} (WATCHWORD_PROFILE) forbids {fault}")

    def faults(self, registered: Registered) -> Iterator[str]:
        """Yield what the profile forbids of a client or a resource."""
        if isinstance(registered, Resource):
            alg = registered.signing_alg
            if alg is not None and alg not in self.token_algorithms:
                yield f"tokens that are signed with {alg}"
            return
        method = registered.token_endpoint_auth_method
        if method not in self.methods:
            yield f"clients of {method}"
        alg = registered.token_endpoint_auth_signing_alg
        if alg is not None and alg not in self.assertion_algorithms:
            yield f"assertions that are signed with {alg}"
        if method is AuthMethod.PRIVATE_KEY_JWT:
            registered_keys = (registered.jwks or {}).get("keys", ())
            named = {key["alg"] for key in registered_keys if "alg" in key}
            for alg in sorted(named.difference(self.assertion_algorithms)):
                yield f"keys for {alg}"


OPEN = SecurityProfile()
"""No profile: clients and resources say what counts."""

# FAPI 2.0 Security Profile §5.4.1; Ed25519 is also called EdDSA (RFC 9864).
_FAPI2_ALGORITHMS = ("PS256", "ES256", "Ed25519", "EdDSA")

FAPI2 = SecurityProfile(
    name="fapi2",
    methods=(
        AuthMethod.PRIVATE_KEY_JWT,
        AuthMethod.TLS_CLIENT_AUTH,
        AuthMethod.SELF_SIGNED_TLS_CLIENT_AUTH,
    ),
    token_algorithms=_FAPI2_ALGORITHMS,
    assertion_algorithms=_FAPI2_ALGORITHMS,
    proof_algorithms=_FAPI2_ALGORITHMS,
    only_bound=True,
    plain_audience=True,
)

PROFILES: Mapping[str | None, SecurityProfile] = {None: OPEN, FAPI2.name: FAPI2}
"""The profiles by the value of `WATCHWORD_PROFILE`."""


class Rules(NamedTuple):
    """What the settings let clients and resources become.

    Args:
        seal: of the secrets that clients sign with; None where none may.
        profile: of the issuer.
    """

    seal: SecretSeal | None = None
    profile: SecurityProfile = OPEN

    def check(self, before: Registered | None, after: Registered) -> None:
        """Refuse what is not allowed, unless it was there: that may still be changed otherwise.

        Args:
            before: the client or resource that is changed; None for a new one.
            after: what it becomes.

        Raises:
            InvalidValue: naming what is not allowed.
        """
        if isinstance(after, ClientRegistration):
            was = before if isinstance(before, ClientRegistration) else None
            check_method(after, self.seal, before=was)
        self.profile.check_change(before, after)


NO_RULES = Rules()
