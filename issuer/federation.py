"""Compare a token of another issuer with trust rules, and write the rule that a token would fit.

Pure. Nothing here is verified: a signature is looked at once a rule fits, with the keys of the
rule's issuer (`issuer.client_auth.federated`).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from issuer.registry.errors import InvalidValue
from issuer.registry.federated_identity import (
    GITHUB,
    FederatedIdentity,
    is_trust_domain,
)
from issuer.registry.schema import Json, same_json

_LONGEST_SHOWN = 200
# `octocat@583231/shop@1296269`, as GitHub writes it into `sub` since July 2026.
_GITHUB_REPOSITORY = re.compile(r"[\w.-]+@(?P<owner>[0-9]+)/[\w.-]+@(?P<repository>[0-9]+)", re.A)
_SERVICE_ACCOUNT = re.compile(r"(?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9.-]+)")
_SPIFFE_ID = re.compile(r"(?P<domain>spiffe://[^/]+)/.+")
_TRUST_DOMAIN = "the trust domain"
_SERVICE_ACCOUNTS = "system:serviceaccount:"
PLATFORMS = ("kubernetes", "github", "spiffe", "oidc")
"""Where workloads get tokens of, by the words of the command line; `oidc` is any other issuer."""


class Words(str):
    """What a claim must be, in words instead of a value."""

    __slots__ = ()


class Mismatch(NamedTuple):
    """A claim of a token that is not as a rule wants it.

    Args:
        claim: its name, after those of the objects around it.
        found: its value; None if it is missing.
        wanted: the value, or `Words`.
    """

    claim: str
    found: object
    wanted: object

    def __str__(self) -> str:
        """Say it in one line of printable ASCII: a token may hold anything."""
        found = "missing" if self.found is None else _shown(self.found)
        wanted = self.wanted if isinstance(self.wanted, Words) else _shown(self.wanted)
        return f"{self.claim} is {found}, and must be {wanted}"


class Comparison(NamedTuple):
    """What the rule that a token fits best says of it.

    Args:
        number: the rule's place among the client's, from 0.
        mismatches: none if the token fits.
    """

    number: int
    mismatches: tuple[Mismatch, ...]

    @property
    def distance(self) -> tuple[bool, int]:
        """How far the token is from fitting: first whether its issuer is another, then the rest."""
        other_issuer = any(each.claim in ("iss", _TRUST_DOMAIN) for each in self.mismatches)
        return other_issuer, len(self.mismatches)


def compare(
    identities: Sequence[FederatedIdentity], claims: Mapping[str, Any], own_issuer: str
) -> Comparison:
    """Return the rule that a token fits, or else the one that it fits best.

    Args:
        identities: the rules, of which there is at least one.
        claims: what the token says.
        own_issuer: the identifier of this issuer, which `aud` must be where a rule names no other.
    """
    compared = (
        Comparison(number, tuple(_mismatches(identity, claims, own_issuer)))
        for number, identity in enumerate(identities)
    )
    return min(compared, key=lambda each: each.distance)


def _mismatches(
    identity: FederatedIdentity, claims: Mapping[str, Any], own_issuer: str
) -> Iterator[Mismatch]:
    if is_trust_domain(identity.issuer):
        # JWT-SVID §3: `iss` is optional there, and says nothing of the trust domain.
        spiffe = _SPIFFE_ID.fullmatch(str(claims.get("sub")))
        domain = None if spiffe is None else spiffe["domain"]
        yield from _differing(_TRUST_DOMAIN, domain, identity.issuer)
    else:
        yield from _differing("iss", claims.get("iss"), identity.issuer)
    # A token that is for another party as well could be used here by that party.
    yield from _differing("aud", _sole(claims.get("aud")), identity.audience or own_issuer)
    if identity.subject is not None:
        yield from _differing("sub", claims.get("sub"), identity.subject)
    yield from _differing_members("", claims, identity.claims)
    if event := _event_of_a_stranger(claims):
        yield event


def _event_of_a_stranger(claims: Mapping[str, Any]) -> Mismatch | None:
    """Find a run of GitHub Actions whose steps the author of a pull request decides."""
    event = claims.get("event_name")
    if isinstance(event, str) and event.startswith("pull_request"):
        return Mismatch("event_name", event, Words("that of no pull request"))
    return None


def _sole(audience: object) -> object:
    # RFC 7519 §4.1.3: an array of one value is the same as the value.
    return audience[0] if isinstance(audience, list) and len(audience) == 1 else audience


def _differing_members(
    around: str, claims: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Iterator[Mismatch]:
    for name, value in wanted.items():
        found = claims.get(name)
        if isinstance(value, dict):
            members = found if isinstance(found, dict) else {}
            yield from _differing_members(f"{around}{name}.", members, value)
        else:
            yield from _differing(around + name, found, value)


def _differing(claim: str, found: object, wanted: object) -> Iterator[Mismatch]:
    if not same_json(found, wanted):  # exact, and 1 is not true
        yield Mismatch(claim, found, wanted)


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def rule_for_token(claims: Mapping[str, Any], own_issuer: str) -> Json:
    """Write the rule that fits a sample token, as narrow as its platform allows.

    Args:
        claims: what the token says; it may have expired.
        own_issuer: the identifier of this issuer.

    Raises:
        InvalidValue: no such token can be used, and why.
    """
    if event := _event_of_a_stranger(claims):
        raise InvalidValue(f"such a token is never taken: {event}")
    audience = _sole(claims.get("aud"))
    if not isinstance(audience, str):
        raise InvalidValue(f"aud is {_shown(audience)}; have the token made for one party alone")
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not isinstance(subject, str):
        raise InvalidValue("the token has no sub")
    spiffe = _SPIFFE_ID.fullmatch(subject)
    if issuer is None and spiffe is not None:
        issuer = spiffe["domain"]
    rule: Json = {"issuer": issuer, **_workload_of(claims, subject)}
    return rule if audience == own_issuer else {**rule, "audience": audience}


def _workload_of(claims: Mapping[str, Any], subject: str) -> Json:
    """Name the workload by what no other can have, now or later."""
    if "repository_id" in claims:
        # Not by `sub`, which has names, and has had two forms. A deployment environment has
        # reviewers and branches of its own, so it says more than the branch.
        where = "environment" if "environment" in claims else "ref"
        names = ("repository_owner_id", "repository_id", where)
        return {"claims": {name: claims[name] for name in names if name in claims}}
    cluster = claims.get("kubernetes.io")
    account = cluster.get("serviceaccount") if isinstance(cluster, dict) else None
    if isinstance(account, dict) and "uid" in account:
        # A service account that is deleted leaves its name to the next one.
        uid = {"serviceaccount": {"uid": account["uid"]}}
        return {"subject": subject, "claims": {"kubernetes.io": uid}}
    return {"subject": subject}


def rule_for_workload(platform: str, workload: str) -> Json:
    """Write the rule for a workload by the name that its platform has for it.

    The issuer is in it where the platform has a single one.

    Args:
        platform: one of `PLATFORMS`.
        workload: NAMESPACE/NAME of a service account, OWNER@ID/NAME@ID of a repository, a SPIFFE
            id, or the subject of any other issuer.

    Raises:
        InvalidValue: the platform is unknown, or has no such names.
    """
    match platform:
        case "kubernetes":
            if not _SERVICE_ACCOUNT.fullmatch(workload):
                raise InvalidValue("a service account of Kubernetes is NAMESPACE/NAME")
            return {"subject": _SERVICE_ACCOUNTS + workload.replace("/", ":")}
        case "github":
            found = _GITHUB_REPOSITORY.fullmatch(workload)
            if found is None:
                raise InvalidValue(
                    "a repository of GitHub is OWNER@ID/NAME@ID; see:"
                    " gh api repos/OWNER/NAME --jq '.owner.id, .id'"
                )
            numbers = {"repository_owner_id": found["owner"], "repository_id": found["repository"]}
            return {"issuer": GITHUB, "claims": numbers}
        case "spiffe":
            found = _SPIFFE_ID.fullmatch(workload)
            if found is None:
                raise InvalidValue("a SPIFFE id is spiffe://TRUST-DOMAIN/PATH")
            return {"issuer": found["domain"], "subject": workload}
        case "oidc":
            return {"subject": workload}
        case _:
            raise InvalidValue(f"the platform must be one of {', '.join(PLATFORMS)}")
