"""Cause and remedy of every `Reason` for which the issuer refuses a request of a client."""

from collections.abc import Mapping

from issuer.client_auth.reasons import CLIENT_DIAGNOSES
from issuer.errors import Reason
from keys.dpop import PROOF_DIAGNOSES, ProofFault
from keys.errors import JWT_DIAGNOSES, Diagnosis

_REQUEST: Mapping[Reason, Diagnosis] = {
    Reason.METHOD_NOT_ALLOWED: Diagnosis(
        "The endpoint does not take this HTTP method.",
        "Use a method of the answer's `Allow`.",
    ),
    Reason.MEDIA_TYPE: Diagnosis(
        "The body is of another media type, or there is not exactly one `Content-Type`.",
        "Send `application/x-www-form-urlencoded`; to `/register`, `application/json`.",
    ),
    Reason.CONTENT_ENCODING: Diagnosis(
        "The body is compressed.", "Send it without `Content-Encoding`."
    ),
    Reason.BODY_TOO_LARGE: Diagnosis("The body has more than 64 KB.", "Send less."),
    Reason.MALFORMED_BODY: Diagnosis(
        "The body cannot be read: no UTF-8, a bad percent escape, a NUL, too many parameters, or "
        "at `/register` no JSON object with each name once.",
        "Have an HTTP library encode the form or the JSON.",
    ),
    Reason.REPEATED_PARAMETER: Diagnosis(
        "A parameter that counts is there twice.", "Send each parameter once."
    ),
    Reason.CREDENTIALS_IN_QUERY: Diagnosis(
        "The URL has a secret or an assertion, which proxies and logs may have kept.",
        "Send it in the header or the body, and replace the secret.",
    ),
    Reason.SEVERAL_MECHANISMS: Diagnosis(
        "The request authenticates in more than one way.",
        "Send the credentials once: in the header or in the body.",
    ),
    Reason.CLIENT_ID_MISMATCH: Diagnosis(
        "`client_id` in the body names another client than the credentials.",
        "Leave `client_id` out beside Basic.",
    ),
    Reason.MALFORMED_AUTHORIZATION: Diagnosis(
        "What follows `Bearer` at `/register` is not one token.", "Send the token alone."
    ),
    Reason.TOKEN_MISSING: Diagnosis("`token` is missing.", "Send the token that it is about."),
    Reason.GRANT_TYPE_MISSING: Diagnosis(
        "`grant_type` is missing or empty.", "Send `grant_type=client_credentials`."
    ),
    Reason.UNSUPPORTED_GRANT: Diagnosis(
        "`grant_type` is none of this issuer's.", "See `grant_types_supported` of the metadata."
    ),
}

_GRANT: Mapping[Reason, Diagnosis] = {
    Reason.GRANT_NOT_ALLOWED: Diagnosis(
        "The client is not registered for the grant type.",
        "Add it to `grant_types` of the client, if it may use it.",
    ),
    Reason.NOTHING_GRANTED: Diagnosis(
        "The client is granted no scope on any resource.",
        "`watchword clients update ID --scope S --resource URI`.",
    ),
    Reason.INVALID_TARGET: Diagnosis(
        "`resource` is not one absolute URI, or the client is granted nothing there.",
        "Send a resource of the client as registered; the log has the one asked for.",
    ),
    Reason.MALFORMED_SCOPE: Diagnosis(
        "`scope` is not names with single spaces between.", "Send `scope=read write`."
    ),
    Reason.SCOPE_NOT_ALLOWED: Diagnosis(
        "A scope is unknown, or not granted to the client on the resource; the log has it.",
        "Ask for less, or `watchword clients update ID --scope S`.",
    ),
    Reason.RESOURCES_DIFFER: Diagnosis(
        "The resources asked for want another algorithm or other constant claims each.",
        "Ask for a token for each resource.",
    ),
    Reason.MALFORMED_DETAILS: Diagnosis(
        "`authorization_details` is not a JSON array of objects with a `type` each, has a name "
        "twice or a number that is too large, or more bytes than are read.",
        "Send what RFC 9396 §2 says; the answer says what is wrong.",
    ),
    Reason.DETAILS_NOT_ALLOWED: Diagnosis(
        "A type of authorization details is unknown, not granted to the client on the resource, or "
        "belongs to several resources.",
        "Name the resource, ask for another type, or grant the type to the client.",
    ),
    Reason.DETAILS_NOT_VALID: Diagnosis(
        "An object is not as the JSON Schema of its type says; the answer says where.",
        "Correct the object, or the schema of the resource.",
    ),
    Reason.DETAILS_ELSEWHERE: Diagnosis(
        "`locations` of an object names a resource that the token is not for.",
        "Leave `locations` out, or ask for a token for that resource.",
    ),
    Reason.DPOP_REQUIRED: Diagnosis(
        "The client gets bound tokens only, and sent no DPoP proof.",
        "Have it send a proof, or take `--dpop` from the client and the resource.",
    ),
    Reason.CERTIFICATE_REQUIRED: Diagnosis(
        "The client gets tokens bound to its certificate only, and showed none.",
        "Take the attribute from the client, or have it show a certificate.",
    ),
    Reason.BINDING_REQUIRED: Diagnosis(
        "`WATCHWORD_PROFILE` wants every token bound, and the request has neither a DPoP proof nor "
        "a client certificate.",
        "Have the client send a DPoP proof, or show a certificate.",
    ),
    Reason.AUTH_METHOD_NOT_TAKEN: Diagnosis(
        "The resource takes no tokens of clients that authenticate as this one did.",
        "`watchword resources show URI` has `auth_methods`; register the client for one of them.",
    ),
    Reason.PROFILE_ALGORITHM: Diagnosis(
        "`WATCHWORD_PROFILE` forbids the algorithm that the resource wants its tokens signed with.",
        "`watchword resources update URI --alg PS256`, or another that the profile allows.",
    ),
    Reason.INTROSPECTS_NOTHING: Diagnosis(
        "The client may not ask about tokens of any resource.",
        "`watchword clients update ID --introspects URI`, if it may.",
    ),
    Reason.FOREIGN_TOKEN: Diagnosis(
        "The token was issued to another client.",
        "Let the client that got it, or an operator, revoke it: `watchword token revoke`.",
    ),
    Reason.NOT_REVOCABLE: Diagnosis(
        "The token is on no status list, so it counts until it expires.",
        "Switch status lists on for its resource; for now, disable the client.",
    ),
}

# What it has to do with a token is for APIs, and a proof that is missing has a reason above.
_PROOF: Mapping[Reason, Diagnosis] = {
    Reason(fault): each
    for fault, each in PROOF_DIAGNOSES.items()
    if fault not in (ProofFault.MISSING, ProofFault.TOKEN)
}

_EXCHANGE: Mapping[Reason, Diagnosis] = {
    Reason.SUBJECT_MISSING: Diagnosis(
        "`subject_token` is missing.", "Send the token that the caller sent."
    ),
    Reason.SUBJECT_TYPE: Diagnosis(
        "`subject_token_type` is missing, or is no access token or JWT.",
        "Send `urn:ietf:params:oauth:token-type:access_token`; no other kind is exchanged.",
    ),
    Reason.ACTOR_TYPE: Diagnosis(
        "`actor_token` and `actor_token_type` are not both there, or the type is another.",
        "Leave both out: the client has authenticated.",
    ),
    Reason.ACTOR_TOKEN: Diagnosis(
        "The actor token is not a live, unbound token of the client for itself.",
        "Leave it out: the client has authenticated.",
    ),
    Reason.REQUESTED_TYPE: Diagnosis(
        "`requested_token_type` is no access token or JWT.", "Leave it out."
    ),
    Reason.DETAILS_NOT_EXCHANGED: Diagnosis(
        "An exchange was to give `authorization_details`.",
        "Leave them out; use scopes for what is done in the name of a caller.",
    ),
    Reason.NOTHING_EXCHANGED: Diagnosis(
        "The client has no permission to exchange tokens.",
        "`watchword clients update ID --token-exchange JSON`, if it may.",
    ),
    Reason.SUBJECT_AUDIENCE: Diagnosis(
        "The subject token is for another API than the client is, or for several.",
        "Send a token that a caller sent to it; `subject_resource` has to be its `aud`.",
    ),
    Reason.SUBJECT_IS_OWN: Diagnosis(
        "The subject token was issued to the client itself.",
        "Ask for a token with `grant_type=client_credentials`.",
    ),
    Reason.SUBJECT_BOUND: Diagnosis(
        "The subject token is bound to a key (`cnf`), and the new token would be bound to none.",
        "Have the client send a DPoP proof with its own key, or show its certificate.",
    ),
    Reason.SUBJECT_NOT_ACTIVE: Diagnosis(
        "A client that the subject token names is gone, disabled or expired.",
        "`watchword clients show ID` of its `sub`, `client_id` and `act`.",
    ),
    Reason.SUBJECT_NOT_ALLOWED: Diagnosis(
        "The permission does not name the subject of the token, or the client that sent it.",
        "Add both to `subjects`, if the client may act for them.",
    ),
    Reason.MAY_NOT_ACT: Diagnosis(
        "`may_act` of the subject token names another client.",
        "Only the client that it names may exchange the token.",
    ),
    Reason.CHAIN_TOO_LONG: Diagnosis(
        "More clients would act one for another than `max_depth` of the permission.",
        "Raise it, if the chain is meant to be so long.",
    ),
    Reason.SEVERAL_TARGETS: Diagnosis(
        "The request names several targets, or none where several are possible.",
        "Name one resource; exchange once for each.",
    ),
    Reason.TARGET_NOT_EXCHANGED: Diagnosis(
        "The client has no permission to exchange such a token for the resource.",
        "Add it with `watchword clients update ID --token-exchange JSON`, if it may.",
    ),
}

_TOKEN: Mapping[Reason, Diagnosis] = {
    **{Reason(fault): each for fault, each in JWT_DIAGNOSES.items()},
    Reason.TOKEN_TOO_LONG: Diagnosis(
        "The token has more than 8,192 bytes: one that the client would get, or one that it sent.",
        "Have fewer scopes and claims in it.",
    ),
    Reason.UNKNOWN_KEY: Diagnosis(
        "The issuer publishes no key with the token's `kid`.",
        "It is no token of this issuer, or of a key that was withdrawn: get a new one.",
    ),
    Reason.WRONG_ISSUER: Diagnosis(
        "`iss` is not this issuer.", "Get a new token; was `WATCHWORD_ISSUER` changed?"
    ),
    Reason.INVALID_STATUS: Diagnosis(
        "The status claim names no place on a list of this issuer.",
        "Get a new token; was `WATCHWORD_ISSUER` changed?",
    ),
    Reason.TOKEN_REVOKED: Diagnosis(
        "The token was revoked.", "Get a new token, if the client is still allowed to."
    ),
    Reason.TOKEN_SUSPENDED: Diagnosis(
        "The token is suspended.",
        "`watchword token revoke --restore`, or get a new token.",
    ),
}

_ISSUER: Mapping[Reason, Diagnosis] = {
    Reason.NO_SIGNING_KEY: Diagnosis(
        "There is no key to sign with, or none of the algorithm that the resource wants.",
        "`watchword keys list`; `watchword keys generate --alg ALG`.",
    ),
    Reason.SIGNER_UNAVAILABLE: Diagnosis(
        "The HSM or key management service that holds the key does not sign now.",
        "See `signer.unavailable` in the log.",
    ),
    Reason.NO_STATUS_INDEX: Diagnosis(
        "The database is away for so long that no place on a status list is left for a new token, "
        "which could then not be revoked.",
        "Is the database of `WATCHWORD_DATABASE_URL` up? The client may try again.",
    ),
    Reason.CLAIM_HOOK_FAILED: Diagnosis(
        "A function of `WATCHWORD_CLAIM_HOOKS` raised, or gave claims that it may not add.",
        "The log entry names it and the error; correct the function.",
    ),
    Reason.STORE_UNAVAILABLE: Diagnosis(
        "The registry or the replay store would have to be asked or written, and cannot be.",
        "Are the database and the server of `WATCHWORD_REPLAY_STORE` up? The client may try again.",
    ),
    Reason.OVERLOADED: Diagnosis(
        "Too many secrets with slow hashes, or registrations, wait to be checked.",
        "Give clients generated secrets, whose hash is quick; the client may try again.",
    ),
    Reason.INTERNAL: Diagnosis(
        "An error that was not foreseen.", "The log entry has it; please report it."
    ),
}

DIAGNOSES: Mapping[Reason, Diagnosis] = {
    **_REQUEST,
    **CLIENT_DIAGNOSES,
    **_GRANT,
    **_PROOF,
    **_EXCHANGE,
    **_TOKEN,
    **_ISSUER,
}
