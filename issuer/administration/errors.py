"""What an administrator did wrong, beside what the registry itself refuses."""

from collections.abc import Sequence

from issuer.registry.errors import RegistryError

Mistake = tuple[str, str]
"""Where in a document, as a JSON pointer (RFC 6901), empty for all of it; and what is wrong."""


class InvalidDocument(RegistryError):
    """A document cannot be; `mistakes` has all that is wrong with it, `str` a line for each."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(_line(*mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class KeyReused(RegistryError):
    """An idempotency key was used before, for something else."""


class BeyondAuthority(RegistryError):
    """Somebody would hand out, or take over, more than he holds himself."""


class CallerNotActive(RegistryError):
    """The client that a caller's access token was issued to may do nothing any more."""


class AccessRefused(RegistryError):
    """A server does not let somebody do what he asks for."""


def write_pointer(path: Sequence[str | int]) -> str:
    """Write a path as a JSON pointer (RFC 6901 §3)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _line(pointer: str, message: str) -> str:
    if not pointer:
        return message
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]
    return f"{'.'.join(steps)}: {message}"
