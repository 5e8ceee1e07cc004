"""Why the console itself refuses a page or a sign-in, with cause and remedy."""

from collections.abc import Mapping
from enum import StrEnum

from keys.errors import Diagnosis


class ConsoleReason(StrEnum):
    """The code of a refusal in the log; a client's sign-in has those of the token endpoint."""

    BODY_TOO_LARGE = "body_too_large"
    CSRF = "csrf"
    FORM_OUTDATED = "form_outdated"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    LINK_REFUSED = "link_refused"
    MALFORMED_FORM = "malformed_form"
    METHOD = "method"
    NOT_FOUND = "not_found"
    ORIGIN = "origin"
    UNAVAILABLE = "unavailable"


DIAGNOSES: Mapping[ConsoleReason, Diagnosis] = {
    ConsoleReason.BODY_TOO_LARGE: Diagnosis(
        "A form has more bytes than any page of the console sends.", "Send less."
    ),
    ConsoleReason.CSRF: Diagnosis(
        "The form has not the value of the session that sends it, such as after another sign-in.",
        "Open the page again.",
    ),
    ConsoleReason.FORM_OUTDATED: Diagnosis(
        "The page for signing in was open for too long, or the browser keeps no cookies.",
        "Send the form again; allow cookies for the issuer.",
    ),
    ConsoleReason.INSUFFICIENT_SCOPE: Diagnosis(
        "The session does not hold the scopes that the page takes.",
        "Grant them to the client, or sign in with a link of `watchword console`.",
    ),
    ConsoleReason.LINK_REFUSED: Diagnosis(
        "The one-time link was used before, is older than a minute, or is of another installation.",
        "Run `watchword console` again, with the settings of the server.",
    ),
    ConsoleReason.MALFORMED_FORM: Diagnosis(
        "The body is no form that can be read.", "Send it from a page of the console."
    ),
    ConsoleReason.METHOD: Diagnosis("The page does not take this HTTP method.", "Use GET or POST."),
    ConsoleReason.NOT_FOUND: Diagnosis(
        "No page of the console has this address.", "Start at `/console`."
    ),
    ConsoleReason.ORIGIN: Diagnosis(
        "The request came from a page of another origin, or nobody knows from which.",
        "Open the console at the address that `WATCHWORD_ISSUER` has.",
    ),
    ConsoleReason.UNAVAILABLE: Diagnosis(
        "The registry's database or the signer cannot be reached.", "See `watchword doctor`."
    ),
}
