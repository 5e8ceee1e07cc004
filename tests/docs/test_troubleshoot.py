"""docs/how-to/troubleshoot.md: what an operator can be asked about has a row."""

import errno
import os
import re
from pathlib import Path

import issuer.errors
import resource_api.errors
from issuer.client_auth.reasons import CLIENT_DIAGNOSES
from issuer.reasons import DIAGNOSES

PAGE = Path("docs/how-to/troubleshoot.md").read_text()
KNOWN = {*issuer.errors.Reason, *resource_api.errors.Reason}
AT_REGISTRATION = {"registration_token", "client_metadata"}
"""Their answers say what is wrong."""
CONFIGURED = {
    "dpop_required",
    "certificate_required",
    "binding_required",
    "auth_method_not_taken",
    "profile_algorithm",
}
"""What the settings, or a client or resource as it is registered, make of a good request."""


def reasons_of_rows() -> set[str]:
    """Return what stands in the columns of reasons."""
    names: set[str] = set()
    of_reasons = False
    for line in PAGE.splitlines():
        cells = [each.strip() for each in line.split("|")]
        if len(cells) < 3:
            of_reasons = False
        elif cells[2] == "reason":
            of_reasons = True
        elif of_reasons:
            names |= set(re.findall("`([a-z_]+)`", cells[2]))
    return names


def test_every_reason_for_which_a_client_is_not_authenticated_has_a_row() -> None:
    """And each of a proof, and each that a registration or a setting causes."""
    wanted = {*map(str, CLIENT_DIAGNOSES)} - AT_REGISTRATION | CONFIGURED
    wanted |= {str(each) for each in DIAGNOSES if each.startswith("proof_")}
    assert wanted - reasons_of_rows() == set()


def test_every_reason_of_binding_status_and_stores_at_an_api_has_a_row() -> None:
    """The others are malformed tokens, which `token explain` tells apart."""
    words = ("proof", "bound", "binding", "constrained", "certificate", "status", "unavailable")
    wanted = {str(each) for each in resource_api.errors.Reason if any(w in each for w in words)}
    assert wanted - reasons_of_rows() == set()


def test_a_message_is_quoted_as_the_program_says_it() -> None:
    """What stands in the first column of a table, of several words, is in a source file."""
    source = "".join(
        path.read_text(encoding="utf-8")
        for package in ("issuer", "keys", "resource_api", "watchword")
        for path in Path(package).rglob("*.py")
    )
    source += "".join(os.strerror(each).lower() for each in (errno.EACCES, errno.EADDRINUSE))
    quotes = re.findall(r"^\| `([^`]* [^`]*)`", PAGE, flags=re.MULTILINE)
    assert len(quotes) == 5
    assert [quote for quote in quotes if quote not in source] == []


def test_a_row_names_reasons_that_there_are() -> None:
    """One that was renamed would be looked for in vain."""
    assert len(reasons_of_rows()) > 50
    assert reasons_of_rows() - {*map(str, KNOWN)} == set()
