"""What was done, as the page after it says; a URL names one of these and no text of its own."""

from collections.abc import Mapping
from typing import Final

NOTICES: Final[Mapping[str, str]] = {
    "client-created": "The client is registered.",
    "client-updated": "The client is changed.",
    "nothing-changed": "Nothing was different, so nothing was changed.",
    "client-disabled": "The client is disabled: it is refused from now on.",
    "client-enabled": "The client is enabled.",
    "client-deleted": "The client is deleted.",
    "secret-ended": "The secret has ended.",
    "signed-out": "You are signed out.",
    "session-ended": "Your session has ended. Sign in again; what you entered was not saved.",
    "resource-added": "The resource was added.",
    "resource-changed": "The resource was changed.",
    "resource-deleted": "The resource was deleted.",
    "key-rotated": "The rotation is under way: the timeline has when the successor signs.",
    "key-rotated-unrecorded": "The rotation is under way. The audit trail failed: see the log.",
    "key-withdrawn": "The key was withdrawn. Validators refuse its tokens as they learn of it.",
    "key-withdrawn-unrecorded": "The key was withdrawn. The audit trail failed: see the log.",
}
