"""Bind a token to the key or the certificate that the client holds (RFC 9449 §5, RFC 8705 §3).

Pure. What a request proves is read after its client is known, so that a stranger has no proof
verified; what has to be bound is never issued unbound.
"""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import NamedTuple

from issuer.client_request import Evidence
from issuer.errors import InvalidDpopProof, InvalidRequest, Reason, UseDpopNonce
from issuer.grants.authorization import Authorization
from issuer.profile import OPEN, SecurityProfile
from issuer.registry.client import Client
from issuer.replay import Once
from keys.client_cert import certificate_thumbprint
from keys.dpop import (
    PROOF_ALGORITHMS,
    PROOF_DIAGNOSES,
    PROOF_WINDOW,
    InvalidProof,
    Proof,
    ProofFault,
    ProofKeys,
    check_proof,
)
from keys.dpop_nonce import Nonces

NonceSource = Callable[[], Nonces]
"""Gives the nonces of the issuer, or raises TemporarilyUnavailable while they are not known."""


class Possession(NamedTuple):
    """What the client of a request has proven to hold.

    Args:
        jkt: the thumbprint of the key of a DPoP proof (RFC 9449 §6.1).
        x5t: the thumbprint of the certificate of the connection (RFC 8705 §3.1).
        once: what counts once of the proof.
    """

    jkt: str | None = None
    x5t: str | None = None
    once: tuple[Once, ...] = ()


_NOTHING = Possession()


def read_possession(
    evidence: Evidence,
    now: int,
    *,
    client_id: str,
    memo: ProofKeys,
    nonces: NonceSource | None = None,
    alias: str | None = None,
    algorithms: Collection[str] = PROOF_ALGORITHMS,
) -> Possession:
    """Check the DPoP proof of a request, if there is one, and take note of its certificate.

    Args:
        evidence: of a client that is authenticated.
        now: seconds since the epoch.
        client_id: the client, for the log.
        memo: keys of earlier proofs.
        nonces: what a proof has to carry one of; None if it needs none.
        alias: the URL of the endpoint for clients that show a certificate; None if it has no other.
        algorithms: what a proof may be signed with.

    Raises:
        InvalidDpopProof: there are several proofs, or a check of RFC 9449 §4.3 fails.
        UseDpopNonce: the proof has no current nonce.
    """
    proofs, certificate = evidence.dpop_proofs, evidence.peer_certificate
    if not proofs and certificate is None:
        return _NOTHING
    x5t = None if certificate is None else certificate_thumbprint(certificate)
    if not proofs:
        return Possession(x5t=x5t)
    try:
        proof = _check_proof(evidence, alias, now, memo, algorithms)
    except InvalidProof as error:
        raise _refused(error.fault, client_id) from None
    if nonces is not None:
        current = nonces()
        if proof.nonce is None or not current.is_current(proof.nonce, now):
            why = PROOF_DIAGNOSES[ProofFault.NONCE].cause
            nonce = current.issue(now)
            raise UseDpopNonce(Reason.PROOF_NONCE, why, client_id=client_id, nonce=nonce)
    once = Once(
        # RFC 9449 §11.1: in the context of the URI, the same for a proof that has the alias; the
        # key keeps one sender from another's ids.
        scope=f"dpop {proof.jkt} {evidence.url}",
        id=proof.jti,
        until=int(proof.issued_at) + PROOF_WINDOW + 1,
        refusal=_refused(ProofFault.REPLAYED, client_id),
    )
    return Possession(proof.jkt, x5t, (once,))


def _check_proof(
    evidence: Evidence,
    alias: str | None,
    now: int,
    memo: ProofKeys,
    algorithms: Collection[str],
) -> Proof:
    """Check the one proof; its `htu` is the URL of the endpoint, or its alias (RFC 8705 §5)."""
    check = partial(
        check_proof,
        evidence.dpop_proofs,
        method=evidence.method,
        now=now,
        algorithms=algorithms,
        memo=memo,
    )
    try:
        return check(url=evidence.url)
    except InvalidProof as error:
        if alias is None or error.fault is not ProofFault.URL:
            raise
    return check(url=alias)


def _refused(fault: ProofFault, client_id: str) -> InvalidDpopProof:
    return InvalidDpopProof(Reason(fault), PROOF_DIAGNOSES[fault].cause, client_id=client_id)


def bind(
    authorization: Authorization,
    client: Client,
    possession: Possession,
    profile: SecurityProfile = OPEN,
) -> Authorization:
    """Bind what was authorized to what its client holds.

    To the key of a DPoP proof, wherever there is one (RFC 9449 §5); to the certificate, where the
    client or a resource asks for that, or the profile and there is no proof.

    Args:
        authorization: what a grant decided.
        client: whom it was decided for.
        possession: what the request proved.
        profile: of the issuer.

    Raises:
        InvalidDpopProof: the token has to be bound to a key, and there is no proof of one.
        InvalidRequest: it has to be bound to a certificate, and there is none; or it is given for
            one that is bound, or under a profile of bound tokens, and would not be bound itself.
    """
    needs_key, needs_certificate = needed_binding(client, authorization.resources)
    if profile.only_bound and possession.jkt is None and possession.x5t is not None:
        needs_certificate = True
    if needs_key and possession.jkt is None:  # RFC 9449 §5.2
        raise InvalidDpopProof(
            Reason.DPOP_REQUIRED, "a DPoP proof is required", client_id=client.client_id
        )
    if needs_certificate and possession.x5t is None:  # RFC 8705 §3.4
        raise InvalidRequest(
            Reason.CERTIFICATE_REQUIRED,
            "a client certificate is required",
            client_id=client.client_id,
        )
    confirmation: dict[str, object] = {}
    if possession.jkt is not None:
        confirmation["jkt"] = possession.jkt
    if needs_certificate:
        confirmation["x5t#S256"] = possession.x5t
    if confirmation:
        return authorization._replace(confirmation=confirmation)
    if profile.only_bound:
        raise InvalidRequest(
            Reason.BINDING_REQUIRED,
            "a DPoP proof or a client certificate is required",
            client_id=client.client_id,
        )
    if authorization.subject_is_bound:
        raise InvalidRequest(
            Reason.SUBJECT_BOUND,
            "the subject token is bound to a key: send a DPoP proof, for a token that is bound too",
            client_id=client.client_id,
        )
    return authorization


def needed_binding(client: Client, resources: Iterable[str]) -> tuple[bool, bool]:
    """Tell whether a token has to be bound to a key, and whether to a certificate."""
    registration = client.registration
    key = registration.dpop_bound_access_tokens
    certificate = registration.tls_client_certificate_bound_access_tokens
    for each in resources:
        policy = client.policies[each]
        key = key or policy.dpop_bound_access_tokens_required
        certificate = certificate or policy.tls_client_certificate_bound_access_tokens
    return key, certificate
