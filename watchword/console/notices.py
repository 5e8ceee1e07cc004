"""What was done, as the page after it says; a URL names one of these and no text of its own."""

from collections.abc import Mapping
from typing import Final

NOTICES: Final[Mapping[str, str]] = {
    "signed-out": "You are signed out.",
    "session-ended": "Your session has ended. Sign in again; what you entered was not saved.",
}
