"""Trust one authority instead of all public ones, whom only the installation of packages asks.

Every client makes a TLS context: one that trusts 140 authorities takes 40 times as long to make.
"""

import os
from pathlib import Path

VARIABLE = "SSL_CERT_FILE"
_OURS = str(Path(__file__).with_name("authority.pem"))
_HANDED_ON = "TESTS_PUBLIC_AUTHORITIES"
if os.environ.get(VARIABLE) != _OURS:  # else a parent, such as that of parallel workers, was here
    os.environ[_HANDED_ON] = os.environ.get(VARIABLE, "")
PUBLIC = os.environ.get(_HANDED_ON) or None
"""What the machine trusts, for what installs packages; None for the default."""


def trust_one() -> None:
    """Have this process, and all that it starts, trust an authority that signs nothing."""
    os.environ[VARIABLE] = _OURS
