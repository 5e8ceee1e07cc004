"""Trust one authority instead of all public ones, whom no test asks.

Every client makes a TLS context: one that trusts 140 authorities takes 40 times as long to make.
"""

import os
from pathlib import Path

VARIABLE = "SSL_CERT_FILE"
PUBLIC = os.environ.get(VARIABLE)
"""What the machine trusts, for what installs packages; None for the default."""


def trust_one() -> None:
    """Have this process, and all that it starts, trust an authority that signs nothing."""
    os.environ[VARIABLE] = str(Path(__file__).with_name("authority.pem"))
