"""What a token is bound to, as its `cnf` says; the attack table has the hostile cases."""

from typing import Any

import pytest

from resource_api.confirmation import RequiredBinding, check_confirmation
from resource_api.errors import InvalidToken, Reason

DIGEST = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
KEY, CERTIFICATE = {"jkt": DIGEST}, {"x5t#S256": DIGEST}
BOTH = KEY | CERTIFICATE


@pytest.mark.parametrize(
    ("required", "accepted"),
    [
        ("", [None, KEY, CERTIFICATE, BOTH]),
        ("any", [KEY, CERTIFICATE, BOTH]),
        ("dpop", [KEY, BOTH]),
        ("certificate", [CERTIFICATE, BOTH]),
    ],
)
def test_a_token_is_bound_to_what_is_required(
    required: RequiredBinding, accepted: list[dict[str, str] | None]
) -> None:
    """It may be bound to more."""
    for confirmation in (None, KEY, CERTIFICATE, BOTH):
        claims: dict[str, Any] = {} if confirmation is None else {"cnf": confirmation}
        if confirmation in accepted:
            check_confirmation(claims, required)
        else:
            with pytest.raises(InvalidToken) as caught:
                check_confirmation(claims, required)
            assert caught.value.reason is Reason.BINDING_REQUIRED


@pytest.mark.parametrize(
    "value",
    [DIGEST[:-1], DIGEST[:-1] + "J", DIGEST + "A", DIGEST.replace("-", "+"), "", "é" * 43, 1, None],
)
def test_a_thumbprint_is_a_sha256_digest_in_its_one_spelling(value: Any) -> None:
    """Whatever else it is could never be that of a key or a certificate."""
    for name in ("jkt", "x5t#S256"):
        with pytest.raises(InvalidToken) as caught:
            check_confirmation({"cnf": BOTH | {name: value}}, "")
        assert caught.value.reason is Reason.INVALID_CONFIRMATION
