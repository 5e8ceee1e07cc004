"""Unit tests of `watchword.provider.app`: `LazyEndpoint` loads once, with the first request."""

import asyncio
import threading

import pytest

from watchword.provider.app import LazyEndpoint


class Recorder:
    """An endpoint that counts, and tells on which thread it was loaded."""

    def __init__(self):
        self.loads = []
        self.served = 0
        self.fault = None

    def load(self):
        self.loads.append(threading.current_thread())
        if self.fault is not None:
            raise self.fault
        return self.serve

    async def serve(self, scope, receive, send):
        self.served += 1


async def test_many_first_requests_load_it_once():
    """On a thread, so that tokens are given out meanwhile."""
    recorder = Recorder()
    late = LazyEndpoint(recorder.load)
    await late.stop()  # nothing to stop yet
    assert recorder.loads == []
    await asyncio.gather(*(late({}, None, None) for _ in range(5)))
    (thread,) = recorder.loads
    assert thread is not threading.main_thread()
    assert recorder.served == 5


async def test_what_could_not_be_loaded_is_tried_again():
    """A fault of the moment is not kept for good."""
    recorder = Recorder()
    recorder.fault = OSError("no file left")
    late = LazyEndpoint(recorder.load)
    with pytest.raises(OSError):
        await late({}, None, None)
    recorder.fault = None
    await late({}, None, None)
    assert (len(recorder.loads), recorder.served) == (2, 1)
