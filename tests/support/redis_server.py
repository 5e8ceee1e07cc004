"""A real Redis server of a test's own: its own port, nothing on the disk, gone with the test."""

import os
import signal
import subprocess
import time
from pathlib import Path

import redis

from tests.support.certificates import Certificate
from tests.support.fronts import find_program
from tests.support.provider import PATIENCE, free_port

PASSWORD = "s3cret-of-the-replay-store"


class RedisServer:
    """A running server, which can be stopped, started again and held up.

    Args:
        folder: for its log.
        certificate: has it speak TLS alone.
    """

    def __init__(self, folder: Path, certificate: Certificate | None = None) -> None:
        self.port = free_port()
        self.scheme = "redis" if certificate is None else "rediss"
        self._program = find_program("redis-server")
        self._folder = folder
        self._listening = ["--port", str(self.port)]
        if certificate is not None:
            self._listening = ["--port", "0", "--tls-port", str(self.port)]
            self._listening += ["--tls-cert-file", str(certificate.file)]
            self._listening += ["--tls-key-file", str(certificate.key_file)]
            self._listening += ["--tls-auth-clients", "no"]
        self.start()

    @property
    def url(self) -> str:
        """The URL for a client."""
        return f"{self.scheme}://:{PASSWORD}@127.0.0.1:{self.port}/0"

    @property
    def admin(self) -> redis.Redis:
        """A client of the test's own."""
        return redis.Redis.from_url(
            self.url, **({"ssl_cert_reqs": "none"} if self.scheme == "rediss" else {})
        )

    def start(self) -> None:
        """Start, and wait until it answers."""
        own = ("--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD)
        command = [self._program, *self._listening, *own]
        with open(self._folder / "redis.log", "a") as log:
            self.process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process.poll() is None, (self._folder / "redis.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with self.admin as client:
                return bool(client.ping())
        except redis.exceptions.ConnectionError:
            return False

    def stop(self) -> None:
        """End it, with all that it knows."""
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.kill()
        self.process.wait(PATIENCE)

    def hold(self) -> None:
        """Have it take what is sent and answer nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def release(self) -> None:
        """Have it go on."""
        self.process.send_signal(signal.SIGCONT)
