"""Test kit: an issuer in the test's own process, for tokens of any shape and faults on demand.

`Issuer` is all that most tests need, and the pytest plugin's fixture `watchword_issuer` gives one.
Everything is loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchword.testing.clock import Clock
    from watchword.testing.faults import Fault
    from watchword.testing.forge import DROP, TokenForge
    from watchword.testing.issuer import Issuer
    from watchword.testing.server import listening

_HOMES = {
    "DROP": "forge",
    "Clock": "clock",
    "Fault": "faults",
    "Issuer": "issuer",
    "TokenForge": "forge",
    "listening": "server",
}

__all__ = ["DROP", "Clock", "Fault", "Issuer", "TokenForge", "listening"]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
