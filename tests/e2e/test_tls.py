"""TLS served by the real command: new certificates reach all workers, and no request is lost."""

import os
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from tests.support.certificates import Authority, Certificate, serial_of
from tests.support.provider import PATIENCE, Place, eventually, make_place


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give one that issues certificates."""
    return Authority(tmp_path)


@pytest.fixture
def place(tmp_path: Path, authority: Authority) -> Place:
    """Give a provider on https with two workers and a client."""
    own = authority.issue("own")
    place = make_place(tmp_path, WATCHWORD_WORKERS="2")
    place.settings |= {
        "WATCHWORD_ISSUER": f"https://localhost:{place.port}",
        "WATCHWORD_TLS_CERT": str(own.file),
        "WATCHWORD_TLS_KEY": str(own.key_file),
        "SSL_CERT_FILE": str(authority.file),
    }
    place.add_key()
    return place


@pytest.fixture
def process(place: Place) -> Iterator[int]:
    """Serve; give the process id of the parent."""
    process = place.start()
    assert eventually(lambda: "server.started" in names(place) or process.poll() is not None)
    serials(place)  # both workers have loaded it
    yield process.pid
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert process.stdout is not None
    process.stdout.close()


def names(place: Place) -> list[str]:
    """List the names of the events so far."""
    return [each["event"] for each in place.log()]


def serials(place: Place) -> set[int]:
    """Tell which certificates new connections get, from whichever worker."""
    address = ("localhost", place.port)
    served = [ssl.get_server_certificate(address, timeout=PATIENCE) for _ in range(12)]
    return {serial_of(ssl.PEM_cert_to_DER_cert(pem)) for pem in served}


def install(place: Place, new: Certificate) -> None:
    """Put a certificate in the place of the one that is served."""
    new.file.replace(place.settings["WATCHWORD_TLS_CERT"])
    new.key_file.replace(place.settings["WATCHWORD_TLS_KEY"])


@pytest.mark.usefixtures("process")
def test_a_new_certificate_reaches_every_worker_and_loses_no_request(
    place: Place, authority: Authority
) -> None:
    """Tokens are given all the while, on kept connections and on new ones."""
    client = place.json("clients", "create", "svc", "--all-scopes")
    form = {"grant_type": "client_credentials"}
    auth = (client["client_id"], client["client_secret"])
    statuses: list[int] = []
    done = Event()

    def ask() -> None:
        url = f"https://localhost:{place.port}/token"
        with httpx.Client(verify=authority.trusting(), auth=auth) as kept:
            while not done.is_set():
                statuses.append(kept.post(url, data=form).status_code)
                once = httpx.post(url, data=form, auth=auth, verify=authority.trusting())
                statuses.append(once.status_code)

    asking = Thread(target=ask)
    asking.start()
    try:
        assert eventually(lambda: len(statuses) > 4)
        new = authority.issue("new")
        install(place, new)
        assert eventually(lambda: names(place).count("certificate.reloaded") == 2)
        assert serials(place) == {new.serial}
        # One that is half written changes nothing, nor does a reload by signal.
        Path(place.settings["WATCHWORD_TLS_CERT"]).write_bytes(b"-----BEGIN CERTIFICATE-----\nMII")
        assert eventually(lambda: names(place).count("certificate.reload_failed") == 2)
        assert serials(place) == {new.serial}
        so_far = len(statuses)
        assert eventually(lambda: len(statuses) > so_far + 4)
    finally:
        done.set()
        asking.join()
    assert set(statuses) == {200}


@pytest.mark.usefixtures("process")
def test_commands_trust_the_authority_that_they_are_told(place: Place) -> None:
    """`SSL_CERT_FILE` names a private one."""
    client = place.json("clients", "create", "svc", "--all-scopes")
    place.settings |= {
        "WATCHWORD_CLIENT_ID": client["client_id"],
        "WATCHWORD_CLIENT_SECRET": client["client_secret"],
    }
    assert place.json("token", "get")["token_type"] == "Bearer"
    del place.settings["SSL_CERT_FILE"]
    assert place.run("token", "get").returncode == 1


def test_a_reload_by_signal_checks_the_certificate(place: Place, process: int) -> None:
    """With a key that cannot be served, the workers stay."""
    key = Path(place.settings["WATCHWORD_TLS_KEY"])
    whole = key.read_bytes()
    key.write_bytes(whole[:100])
    os.kill(process, signal.SIGHUP)
    assert eventually(lambda: "server.reload_failed" in names(place))
    assert len(serials(place)) == 1
    key.write_bytes(whole)
    os.kill(process, signal.SIGHUP)
    assert eventually(lambda: "server.reloaded" in names(place))
    assert "worker.restarted" not in names(place)
