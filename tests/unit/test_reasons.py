"""Every reason has a cause and a remedy, and the page of reasons has them all."""

from collections.abc import Mapping
from enum import StrEnum

import pytest

import issuer.errors
import issuer.reasons
import resource_api.errors
import resource_api.reasons
import watchword.console.reasons
from keys.errors import JWT_DIAGNOSES, Diagnosis, JwtFault
from scripts.reasons_page import build_page

TABLES = {
    "keys/errors.py": (JwtFault, JWT_DIAGNOSES),
    "issuer/reasons.py": (issuer.errors.Reason, issuer.reasons.DIAGNOSES),
    "watchword/console/reasons.py": (
        watchword.console.reasons.ConsoleReason,
        watchword.console.reasons.DIAGNOSES,
    ),
    "resource_api/reasons.py": (resource_api.errors.Reason, resource_api.reasons.DIAGNOSES),
}


@pytest.mark.parametrize(("reasons", "table"), TABLES.values(), ids=TABLES)
def test_every_reason_has_a_cause_and_a_remedy(
    reasons: type[StrEnum], table: Mapping[str, Diagnosis], request: pytest.FixtureRequest
) -> None:
    """A sentence each, that can stand in a table."""
    missing = sorted(set(reasons) - set(table))
    assert not missing, f"write cause and remedy of {', '.join(missing)} in {request.node.name}"
    for reason in reasons:
        cause, remedy = table[reason]
        assert cause.endswith("."), reason
        assert remedy.endswith((".", "?")), reason
        assert not set("|\n") & set(cause + remedy), reason


@pytest.mark.parametrize(("reasons", "table"), TABLES.values(), ids=TABLES)
def test_no_two_reasons_have_one_cause(
    reasons: type[StrEnum], table: Mapping[str, Diagnosis]
) -> None:
    """Two codes with the same words would be one code."""
    causes = [table[reason].cause for reason in reasons]
    assert len(set(causes)) == len(causes)


def test_the_page_has_every_reason() -> None:
    """Once in each of the tables at most."""
    page = build_page()
    tables = [
        set(reasons)
        for reasons in (
            issuer.errors.Reason,
            resource_api.errors.Reason,
            watchword.console.reasons.ConsoleReason,
        )
    ]
    for reason in set().union(*tables):
        sides = [reason in each for each in tables]
        assert page.count(f"</a>`{reason}` |") == sum(sides), reason
