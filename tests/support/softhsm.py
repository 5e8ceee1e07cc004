"""A real SoftHSM2 with a token of the tests' own, behind p11-kit: a security module far away.

p11-kit's server loads SoftHSM2 and has one process for each client, which can be stopped or killed;
p11-kit's client is the module that our side loads. That is how a module on a network fails.
"""

import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from tests.support.provider import eventually

TOKEN = "watchword"
PIN = "4711-of-the-user"
PROGRAMS = ("softhsm2-util", "p11-kit")
_SOFTHSM = "softhsm/libsofthsm2.so"
_CLIENT = "pkcs11/p11-kit-client.so"


class NoSoftHsm(LookupError):
    """There is no SoftHSM2 on this machine."""


class SoftHsm:
    """A token, and the server that our side reaches it through; `close` ends it.

    Args:
        folder: for the token; its path is short enough for a socket.
        label: of the token.

    Raises:
        NoSoftHsm: a part is not installed.
    """

    def __init__(self, folder: Path, label: str = TOKEN) -> None:
        for program in PROGRAMS:
            if shutil.which(program) is None:
                raise NoSoftHsm(
                    f"{program} is missing: apt-get install softhsm2 p11-kit p11-kit-modules"
                )
        self.direct_module = _library(_SOFTHSM)
        self.module = _library(_CLIENT)
        self.label = label
        self._folder = folder
        self._socket = folder / "p11.sock"
        (folder / "tokens").mkdir()
        configuration = folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
        self.environment = {
            "SOFTHSM2_CONF": str(configuration),
            "P11_KIT_SERVER_ADDRESS": f"unix:path={self._socket}",
        }
        self._run(
            "softhsm2-util",
            "--init-token",
            "--free",
            "--label",
            label,
            "--pin",
            PIN,
            "--so-pin",
            secrets.token_hex(8),
        )
        self._server = self._start()

    def settings(self) -> dict[str, str]:
        """Return what a provider has to be told, for the module behind the server."""
        return self.environment | {
            "WATCHWORD_KEY_SIGNER": "pkcs11",
            "WATCHWORD_PKCS11_MODULE": self.module,
            "WATCHWORD_PKCS11_TOKEN": self.label,
            "WATCHWORD_PKCS11_PIN": PIN,
        }

    def stall(self) -> None:
        """Let nothing be answered any more, on connections that stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        self._signal(signal.SIGCONT)

    def drop_connections(self) -> None:
        """End every connection; a new one is answered."""
        self._signal(signal.SIGKILL)

    def take_away(self) -> None:
        """Take the token out, connections included."""
        (self._folder / "tokens").rename(self._folder / "away")
        (self._folder / "tokens").mkdir()
        self.drop_connections()

    def bring_back(self) -> None:
        """Put the token in again."""
        (self._folder / "tokens").rmdir()
        (self._folder / "away").rename(self._folder / "tokens")
        self.drop_connections()

    def close(self) -> None:
        """End the server and its connections."""
        self.drop_connections()
        self._server.terminate()
        self._server.wait(timeout=10)

    def _start(self) -> subprocess.Popen[bytes]:
        server = subprocess.Popen(
            [
                "p11-kit",
                "server",
                "-f",
                "-n",
                str(self._socket),
                "--provider",
                self.direct_module,
                "pkcs11:",
            ],
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert eventually(self._socket.exists)
        return server

    def _signal(self, number: signal.Signals) -> None:
        pid = self._server.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), number)

    def _run(self, *command: str) -> None:
        subprocess.run(
            command, env=os.environ | self.environment, check=True, capture_output=True, timeout=30
        )


def _library(name: str) -> str:
    for folder in Path("/usr/lib").glob("*-linux-gnu"):
        if (folder / name).exists():
            return str(folder / name)
    raise NoSoftHsm(f"{name} is missing: apt-get install softhsm2 p11-kit p11-kit-modules")
