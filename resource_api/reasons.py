"""Cause and remedy of every `Reason` for which an API refuses a request."""

from collections.abc import Mapping

from keys.dpop import PROOF_DIAGNOSES
from keys.errors import JWT_DIAGNOSES, Diagnosis
from resource_api.errors import Reason

DIAGNOSES: Mapping[Reason, Diagnosis] = {
    **{Reason(fault): each for fault, each in JWT_DIAGNOSES.items()},
    **{Reason(fault): each for fault, each in PROOF_DIAGNOSES.items()},
    Reason.NO_CREDENTIALS: Diagnosis(
        "There is no `Authorization` header, or an empty one.",
        "Send `Authorization: Bearer TOKEN`; see that proxies in between pass it on.",
    ),
    Reason.FOREIGN_SCHEME: Diagnosis(
        "`Authorization` is of another scheme, such as `Basic`.",
        "Send the token with the scheme `Bearer`, or `DPoP` if it is bound to a key.",
    ),
    Reason.MALFORMED_AUTHORIZATION: Diagnosis(
        "What follows `Bearer` or `DPoP` is not one token: empty, with spaces, quotes or a comma.",
        "Send the token alone, after one space.",
    ),
    Reason.SEVERAL_CREDENTIALS: Diagnosis(
        "There are several `Authorization` headers, or several credentials in one.",
        "Send one; look for a proxy or library that adds its own.",
    ),
    Reason.UNKNOWN_KEY: Diagnosis(
        "The issuer publishes no key with the token's `kid` and `alg`.",
        "Is it a token of this issuer? Its key may have been withdrawn: get a new token.",
    ),
    Reason.WRONG_ISSUER: Diagnosis(
        "`iss` is not the issuer that this API trusts, byte for byte.",
        "Is `issuer` the identifier that the issuer publishes?",
    ),
    Reason.WRONG_AUDIENCE: Diagnosis(
        "`aud` does not name this API, byte for byte.",
        "Is `resource` the identifier that the issuer has for this API?",
    ),
    Reason.INVALID_CONFIRMATION: Diagnosis(
        "`cnf` has something else than the thumbprint of a DPoP key (`jkt`), of a client "
        "certificate (`x5t#S256`), or both.",
        "Have the issuer bind tokens by DPoP or mutual TLS.",
    ),
    Reason.BINDING_REQUIRED: Diagnosis(
        "The token is not bound to what `binding_required` of the API names.",
        "Have the client get bound tokens, such as with `--dpop`; the resource can require it.",
    ),
    Reason.UNCHECKED_BINDING: Diagnosis(
        "The token is bound, and what validates it is not given the request (`verify`, "
        "`Protection.validate`), or does not know the URL of the API.",
        "Pass the request to `authenticate`; set `base_url` of `Binding` if the resource is not a "
        "URL.",
    ),
    Reason.SENDER_CONSTRAINED: Diagnosis(
        "The token is bound to a DPoP key, and was sent as `Bearer`.",
        "Send `Authorization: DPoP TOKEN` and a proof; a bearer token here may be a stolen one.",
    ),
    Reason.UNBOUND_TOKEN: Diagnosis(
        "The token was sent as `DPoP`, and is bound to no DPoP key.",
        "Send it as `Bearer`, or send a proof when the token is requested.",
    ),
    Reason.NO_CERTIFICATE: Diagnosis(
        "The token is bound to a certificate, and none reached the API.",
        "Show it in TLS; see that the server asks for one, or that `trusted_proxies` of `Binding` "
        "names the proxy that sends `Client-Cert`.",
    ),
    Reason.WRONG_CERTIFICATE: Diagnosis(
        "The token is bound to another certificate than the caller shows.",
        "Get a new token after a certificate was renewed; a stolen token has no remedy here.",
    ),
    Reason.MALFORMED_CERTIFICATE: Diagnosis(
        "`Client-Cert` of a trusted proxy is repeated, or not one certificate as RFC 9440 has it.",
        "Have the proxy overwrite the header with the certificate in base64 between colons.",
    ),
    Reason.WRONG_PROOF_KEY: Diagnosis(
        "The DPoP proof is good, and of another key than the token is bound to.",
        "Sign proofs with the key that the token was requested with; a stolen token has no remedy "
        "here.",
    ),
    Reason.REPLAYS_UNAVAILABLE: Diagnosis(
        "The store that remembers used DPoP proofs does not answer, or this key has used its share "
        "of it up.",
        "Can the store that `replays` of `Binding` names be reached? Slow the caller down.",
    ),
    Reason.STATUS_REQUIRED: Diagnosis(
        "The token has no `status`, and the API takes only tokens that can be revoked.",
        "Switch status lists on for the resource, with tokens that live longer than the issuer's "
        "`WATCHWORD_STATUS_LIST_TTL`.",
    ),
    Reason.INVALID_STATUS: Diagnosis(
        "The claim `status` names no place on a list of this issuer, the list has an unknown "
        "status there, or what is served there is not that list.",
        "Set `status_lists` of the policy if the issuer has its lists elsewhere; see "
        "`status_list.stale` in the log.",
    ),
    Reason.UNCHECKED_STATUS: Diagnosis(
        "The token has a status, and `verify` was given no list, or a `TokenValidator` no source.",
        "Give it one; `BearerMiddleware` has one by default.",
    ),
    Reason.TOKEN_REVOKED: Diagnosis(
        "The issuer revoked the token.",
        "Get a new token; that is refused too if the client was disabled.",
    ),
    Reason.TOKEN_SUSPENDED: Diagnosis(
        "The issuer suspended the token.",
        "Get a new token; this one counts again once it is restored.",
    ),
    Reason.STATUS_UNAVAILABLE: Diagnosis(
        "The status list that the token names is not at hand, or too old to count.",
        "Can the list be reached? See `status_list.stale` in the log.",
    ),
    Reason.INVALID_SCOPE_CLAIM: Diagnosis(
        "`scope` is not names with single spaces between, such as an array.",
        "Have the issuer write `scope` as RFC 9068 has it; for one of another make, set `profile`.",
    ),
    Reason.INSUFFICIENT_SCOPE: Diagnosis(
        "The token is good and lacks a scope of the route; the challenge names all it needs.",
        "Ask for these scopes; grant them to the client if it may have them.",
    ),
    Reason.INSUFFICIENT_CLAIM: Diagnosis(
        "The token is good, and a claim that the route needs is absent or has another value.",
        "Have the issuer give the client this claim, if it may have it.",
    ),
    Reason.INVALID_DETAILS_CLAIM: Diagnosis(
        "`authorization_details` is not a list of objects with a `type` each.",
        "Have the issuer write the claim as RFC 9396 has it.",
    ),
    Reason.INSUFFICIENT_DETAILS: Diagnosis(
        "The token is good and has no authorization details that match what is asked of the route.",
        "Ask for such details; grant their type to the client if it may have them.",
    ),
    Reason.NO_KEYS: Diagnosis(
        "The issuer's key set was never had, or is too old to count.",
        "Can the issuer be reached? See `jwks.stale` in the log.",
    ),
}
