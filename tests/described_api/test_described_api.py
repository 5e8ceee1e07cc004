"""Everything in `/openapi.json`, called by schemathesis against a served provider."""

import pytest

from tests.described_api.run import call_all, called_provider


@pytest.mark.parametrize(
    "phases",
    [
        # Each value and each mistake that the document knows of, one at a time.
        ["coverage"],
        # Random requests, and sequences along the links: what is made is read and deleted.
        ["examples,fuzzing,stateful", "--max-examples", "3"],
    ],
    ids=["coverage", "fuzzing"],
)
def test_the_provider_does_what_its_document_says(tmp_path, phases):
    """No 5xx, no status, header or media type that is not described, no answer of another shape.

    What the document forbids is refused, what it allows is not malformed, and without credentials
    nothing is done that needs them. The seed makes it the same each time; `scripts/schemathesis`
    goes on for longer.
    """
    with called_provider(tmp_path) as (place, credentials):
        code, output = call_all(place, credentials, "--seed", "1", "--phases", *phases)
        failures = [each for each in place.log() if "exception" in each]
    assert code == 0, output
    assert "No issues found" in output
    assert failures == []
