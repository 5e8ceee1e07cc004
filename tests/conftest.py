"""Fixtures that every test may use, and names of cases that stay the same from run to run."""

import pytest
from hypothesis import settings

# A loaded machine is slow now and then; what is slow for good shows in the benches.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

_LONGEST_CASE_NAME = 40


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, the loop that the product ships on."""
    return "asyncio"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case with a long value by its parameter.

    Long values may hold a key, its thumbprint or a token, new in every process; workers that run
    tests in parallel must find the same names.
    """
    if isinstance(val, str | bytes) and len(val) > _LONGEST_CASE_NAME:
        return argname
    return None
