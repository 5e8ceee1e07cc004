"""Cause and remedy of every `Reason` for which a client is not authenticated."""

from collections.abc import Mapping

from issuer.errors import Reason
from keys.errors import Diagnosis

CLIENT_DIAGNOSES: Mapping[Reason, Diagnosis] = {
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
        "its type, or the type without an assertion; or `WATCHWORD_PROFILE` forbids the method.",
        "See `token_endpoint_auth_methods_supported` of the metadata.",
    ),
    Reason.WRONG_METHOD: Diagnosis(
        "The client is registered for another method than it authenticates by.",
        "`watchword clients show ID` says for which; `watchword clients update ID --auth METHOD`.",
    ),
    Reason.ASSERTION_MALFORMED: Diagnosis(
        "The client assertion is not a JWT of three base64url parts with strict JSON in the first "
        "two, has a line feed at its end, is longer than 8,192 bytes, or its header brings keys or "
        "asks for an extension.",
        "Have the library of the client make the assertion; take off the line feed with which a "
        "file ends.",
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
        "The signature of the client assertion was not made with the key of its `kid`, or with a "
        "live secret of a client of client_secret_jwt.",
        "Compare the client's private key or secret with what is registered; a forged one has no "
        "remedy.",
    ),
    Reason.ASSERTION_SECRET: Diagnosis(
        "The client of client_secret_jwt has no live secret that can be opened: it has none, or "
        "only secrets from before it had this method, or they are damaged.",
        "`watchword clients secrets add ID`; restart the server after a backup was restored.",
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
    Reason.CERTIFICATE_AUTHORITY: Diagnosis(
        "The self-signed certificate has the key of an authority in `WATCHWORD_TLS_CLIENT_CA`, "
        "which could name its client any other.",
        "Move the certificate to the file of `WATCHWORD_TLS_CLIENT_CERTS`.",
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
