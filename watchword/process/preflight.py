"""Try something in a child process that ends with it, so that this process stays without threads.

Who forks workers must have no thread. One that was joined does not count as gone: until Python 3.13
`join` returns while the thread still ends, and what it then cleans up, OpenSSL's for one, takes
locks. A child forked in that moment finds them held for ever.
"""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

from watchword.errors import ProviderError


def rehearse(work: Callable[[], None]) -> None:
    """Run `work` in a child process; raise here what it raised there.

    Args:
        work: what to try; nothing of it stays but what it did outside the process.

    Raises:
        ProviderError: the child ended without a word.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_tell, args=(work, sender))
    child.start()
    sender.close()
    try:
        error = receiver.recv()
    except EOFError:
        child.join()
        raise ProviderError(f"a first try to open everything ended with {child.exitcode}") from None
    finally:
        receiver.close()
    child.join()
    if error is not None:
        raise error


def _tell(work: Callable[[], None], sender: Connection) -> None:
    try:
        work()
    except Exception as error:
        sender.send(error)
    else:
        sender.send(None)
