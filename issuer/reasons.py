"""Cause and remedy of every `Reason` for which the issuer refuses a request of a client."""

from collections.abc import Mapping

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

_CLIENT: Mapping[Reason, Diagnosis] = {
    Reason.NO_CREDENTIALS: Diagnosis(
        "The request has no credentials, or only a part of them.",
        "Send id and secret by HTTP Basic or in the body; at `/register`, the token as Bearer.",
    ),
    Reason.UNSUPPORTED_SCHEME: Diagnosis(
        "`Authorization` is of a scheme that is not used at this endpoint.",
        "Use `Basic`; at `/register`, `Bearer`.",
    ),
    Reason.MALFORMED_BASIC: Diagnosis(
        "The Basic credentials are no base64 of form-encoded `id:secret`.",
        "Form-encode both, join them with a colon, then encode in base64 (RFC 6749 §2.3.1).",
    ),
    Reason.UNSUPPORTED_METHOD: Diagnosis(
        "The client authenticates by a method that is not supported, or sends an assertion without "
        "its type, or the type without an assertion.",
        "See `token_endpoint_auth_methods_supported` of the metadata.",
    ),
    Reason.WRONG_METHOD: Diagnosis(
        "The client is registered for another method than it authenticates by.",
        "`watchword clients show ID` says for which; `watchword clients update ID --auth METHOD`.",
    ),
    Reason.ASSERTION_MALFORMED: Diagnosis(
        "The client assertion is not a JWT of three base64url parts with strict JSON in the first "
        "two, is longer than 8,192 bytes, or its header brings keys or asks for an extension.",
        "Have the library of the client make the assertion.",
    ),
    Reason.ASSERTION_TYPE: Diagnosis(
        "`typ` of the client assertion is that of another kind of token, such as `at+jwt`.",
        "Write `client-authentication+jwt` (RFC 10070).",
    ),
    Reason.ASSERTION_ALGORITHM: Diagnosis(
        "The client assertion is signed with an algorithm that the client may not use.",
        "`watchword clients show ID`: its `token_endpoint_auth_signing_alg`; without one, see the "
        "metadata.",
    ),
    Reason.ASSERTION_IDENTITY: Diagnosis(
        "`iss` and `sub` of the client assertion are not both the client's id, or `jti` is missing "
        "or has more than 128 characters.",
        "Write the client's id into both, and a new random `jti` into every assertion.",
    ),
    Reason.ASSERTION_AUDIENCE: Diagnosis(
        "`aud` of the client assertion is not this issuer alone, such as the token endpoint's URL.",
        "Write the `issuer` of the metadata, and nothing else (RFC 10070).",
    ),
    Reason.ASSERTION_EXPIRED: Diagnosis(
        "`exp` of the client assertion is over.",
        "Make an assertion for every request; compare the clocks if it is new.",
    ),
    Reason.ASSERTION_TIMES: Diagnosis(
        "`iat` or `exp` of the client assertion is missing or no number, `iat` or `nbf` is in the "
        "future, or there are more than 300 seconds from `iat` to `exp`.",
        "Write both, 60 seconds apart; compare the clocks.",
    ),
    Reason.ASSERTION_KEY: Diagnosis(
        "The client has no key with the `kid` and the algorithm of the assertion, or several keys "
        "of the algorithm and the assertion has no `kid`.",
        "`watchword clients show ID` has `jwks` or `jwks_uri`; register the public key.",
    ),
    Reason.ASSERTION_KEYS_UNAVAILABLE: Diagnosis(
        "`jwks_uri` of the client cannot be read, so no key of it is known.",
        "See `jwks.stale` in the log for the cause.",
    ),
    Reason.ASSERTION_SIGNATURE: Diagnosis(
        "The signature of the client assertion was not made with the key of its `kid`.",
        "Compare the client's private key with what is registered; a forged one has no remedy.",
    ),
    Reason.ASSERTION_REPLAYED: Diagnosis(
        "The client assertion was used before.",
        "Make a new one, with a new `jti`, for every request.",
    ),
    Reason.ASSERTION_MISSING: Diagnosis(
        "`assertion` of the jwt-bearer grant is missing.", "Send the token as `assertion`."
    ),
    Reason.FEDERATED_MISMATCH: Diagnosis(
        "The token of another issuer fits none of the client's federated identities; `asked` in "
        "the log says which it fits best, and what differs.",
        "Compare with `watchword token explain`; correct the workload, or the rule by `watchword "
        "clients update ID`.",
    ),
    Reason.FEDERATED_TOKEN: Diagnosis(
        "The token fits a federated identity of the client and cannot be taken all the same; "
        "`asked` in the log says why: it has expired, lives longer than a day, is of another kind, "
        "or was not signed by a key of its issuer.",
        "Have the workload read its token anew; compare the clocks; where keys are registered, "
        "register those that the issuer has now.",
    ),
    Reason.TRUSTED_ISSUER_UNAVAILABLE: Diagnosis(
        "The keys of the issuer that a federated identity names cannot be had; `jwks.stale` in the "
        "log says why.",
        "See that this server reaches the issuer over https and trusts its certificate, or "
        "register its keys with the identity; the client may try again.",
    ),
    Reason.CERTIFICATE_UNTRUSTED: Diagnosis(
        "The client's certificate leads to no authority that is trusted, is not for clients, is of "
        "a kind that is too weak, or is none.",
        "`openssl verify -purpose sslclient -CAfile FILE` with the file of "
        "`WATCHWORD_TLS_CLIENT_CA`; behind a proxy that passes on no chain, put the authorities "
        "in between into that file as well.",
    ),
    Reason.CERTIFICATE_EXPIRED: Diagnosis(
        "The client's certificate has ended, or has not begun.",
        "Have its authority renew it; compare the clocks if it is new.",
    ),
    Reason.CERTIFICATE_SUBJECT: Diagnosis(
        "The client's certificate is good, but does not have the name that is registered.",
        "Compare `watchword clients show ID` with `openssl x509 -noout -subject -nameopt RFC2253 "
        "-ext subjectAltName`; `watchword clients update ID --tls-subject …`.",
    ),
    Reason.CERTIFICATE_KEY: Diagnosis(
        "The key of the client's certificate is not in the `jwks` of the client, or what is at its "
        "`jwks_uri` cannot be read.",
        "Register the key with `watchword clients update ID --jwks FILE`.",
    ),
    Reason.UNKNOWN_CLIENT: Diagnosis(
        "There is no client of this id.",
        "Look for it with `watchword clients list`; is this the issuer where it is registered?",
    ),
    Reason.WRONG_SECRET: Diagnosis(
        "The secret is none of the client's.",
        "Compare with what was stored; else `watchword clients secrets add ID`.",
    ),
    Reason.SECRET_EXPIRED: Diagnosis(
        "The secret was the client's, and has ended or not begun.",
        "Give the client its current secret, or add one: `watchword clients secrets add ID`.",
    ),
    Reason.CLIENT_DISABLED: Diagnosis(
        "The client is disabled.", "`watchword clients enable ID`, if it may go on."
    ),
    Reason.CLIENT_EXPIRED: Diagnosis(
        "The client's `expires_at` is over.", "`watchword clients update ID`, if it may go on."
    ),
    Reason.TOO_MANY_FAILURES: Diagnosis(
        "So many authentications of the client from this address have failed within the minute as "
        "`WATCHWORD_FAILED_AUTH_LIMIT` says, or of an id that no client has.",
        "Find what sends the wrong secret, by the reasons before; the next minute counts anew.",
    ),
    Reason.QUOTA_USED_UP: Diagnosis(
        "The client got as many tokens within the minute as `WATCHWORD_TOKEN_QUOTA` says.",
        "Have the client keep its token until it expires, or raise the quota.",
    ),
    Reason.REGISTRATION_TOKEN: Diagnosis(
        "The token shown at `/register` is unknown, ended or used up, or its client is unknown, "
        "disabled or expired.",
        "`watchword registration-tokens list` shows those that count; create another.",
    ),
    Reason.CLIENT_METADATA: Diagnosis(
        "A member of the registration is wrong, or more than the initial access token allows; "
        "the answer says which.",
        "Correct the member, or create an initial access token that allows it.",
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
    **_CLIENT,
    **_GRANT,
    **_PROOF,
    **_EXCHANGE,
    **_TOKEN,
    **_ISSUER,
}
