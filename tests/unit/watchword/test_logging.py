"""Unit tests of `watchword.logging`: what a line holds, and when it leaves."""

import asyncio
import io
import json
import sys

import pytest

from watchword.logging import Events, request_fields


class Stream(io.StringIO):
    """Counts writes."""

    writes = 0

    def write(self, text: str) -> int:
        """Count and keep."""
        self.writes += 1
        return super().write(text)


async def test_lines_of_one_turn_leave_in_one_write() -> None:
    """Many events cost one system call."""
    stream = Stream()
    events = Events(form="json", stream=stream)
    for number in range(5):
        events("token.issued", jti=str(number), kid=None)
    assert stream.writes == 0
    await asyncio.sleep(0)
    assert stream.writes == 1
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["jti"] for line in lines] == ["0", "1", "2", "3", "4"]
    assert "kid" not in lines[0]


async def test_no_line_is_lost_between_threads() -> None:
    """Changes of the registry are told from threads of their own, while the loop writes."""
    stream = Stream()
    events = Events(form="json", stream=stream)

    def tell() -> None:
        for _ in range(500):
            events("client.updated")

    async def tell_here() -> None:
        for _ in range(500):
            events("token.issued")
            await asyncio.sleep(0)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # what is rare otherwise happens all the time
    try:
        await asyncio.gather(tell_here(), *(asyncio.to_thread(tell) for _ in range(4)))
    finally:
        sys.setswitchinterval(usual)
    events.flush()
    assert len([json.loads(line) for line in stream.getvalue().splitlines()]) == 2500


@pytest.mark.parametrize(
    ("event", "level"),
    [("token.refused", "info"), ("secret.expiring", "warning"), ("registry.unavailable", "error")],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_line_begins_with_time_level_and_event(form, event, level) -> None:
    """Then comes what the request is known by, and what the event says; its word counts."""
    stream = Stream()
    token = request_fields.set({"request_id": "r-1", "path": "/admin/"})
    Events(form=form, stream=stream)(event, reason="x", path="/admin/clients", gone=None)
    request_fields.reset(token)
    if form == "json":
        line = json.loads(stream.getvalue())
        assert list(line) == ["timestamp", "level", "event", "request_id", "path", "reason"]
        assert (line["level"], line["event"], line["path"]) == (level, event, "/admin/clients")
    else:
        said = stream.getvalue()
        assert said.index(level) < said.index(event) < said.index("path=/admin/clients")


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_a_peer_chose_neither_ends_a_line_nor_commands_a_terminal(form) -> None:
    """A path may have any character, percent-encoded."""
    stream = Stream()
    Events(form=form, stream=stream)("request.answered", path="/admin/\n\x1b[2J\x07\u202e\x85é")
    line = stream.getvalue().removesuffix("\n")
    assert line.isprintable()
    assert "\\n" in line


def test_an_exceptions_text_is_never_logged() -> None:
    """Its type and where it came from are; its words could hold input."""
    stream = Stream()
    token = request_fields.set({"request_id": "r-1"})
    try:
        raise ValueError("the secret is swordfish")
    except ValueError as error:
        Events(form="json", stream=stream)("token.refused", exception=error)
    request_fields.reset(token)
    line = json.loads(stream.getvalue())
    assert (line["exception"], line["request_id"]) == ("ValueError", "r-1")
    assert line["level"] == "error"
    assert "test_logging.py" in line["at"][0]
    assert "swordfish" not in stream.getvalue()


def test_a_write_that_fails_stops_neither_the_work_nor_the_log() -> None:
    """When writing works again, the log goes on and says how many lines were lost."""

    class Weak(Stream):
        broken = True

        def write(self, text: str) -> int:
            if self.broken:
                raise BrokenPipeError
            return super().write(text)

    stream = Weak()
    events = Events(form="json", stream=stream)
    events("token.issued")
    events("token.issued")
    stream.broken = False
    events("token.refused")
    events("token.issued")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["log.lost", "token.refused", "token.issued"]
    assert lines[0]["lines"] == 2
    assert "timestamp" in lines[0]


@pytest.mark.parametrize("value", [0, -1, True, False, 0.000123, 1e-7, float("nan"), float("inf")])
def test_a_number_is_written_as_the_encoder_of_json_writes_it(value):
    """Without the encoder, which takes longer than all the rest of the line."""
    stream = io.StringIO()
    Events(form="json", stream=stream)("request.answered", duration=value)
    assert f'"duration":{json.dumps(value)}}}' in stream.getvalue()
