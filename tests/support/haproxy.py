"""A real HAProxy, with the sample in `deploy/`, in front of nodes on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.fronts import fill_sample, find_program, running_front
from tests.support.provider import free_port

_ASKS_CLIENTS = (
    " verify optional ca-file /etc/haproxy/clients.pem crt-ignore-err all ca-ignore-err all"
)


@contextmanager
def balancing_haproxy(
    folder: Path,
    *nodes: int,
    certificate: Path | None = None,
    client_ca: Path | None = None,
    host: str = "127.0.0.1",
) -> Iterator[str]:
    """Run one; give its URL.

    Args:
        folder: for its configuration and log.
        nodes: the ports of one or two nodes. They get requests once `/readyz` answers 200.
        certificate: a file with certificate and key; without it HAProxy takes plain http.
        client_ca: the authorities of clients' certificates; without it no client is asked.
        host: the address that it listens on.
    """
    program = find_program("haproxy")
    port = free_port()
    tls = f" ssl crt {certificate} alpn h2,http/1.1" if certificate else ""
    if client_ca:
        tls += _ASKS_CLIENTS.replace("/etc/haproxy/clients.pem", str(client_ca))
    servers = ["    server node1 10.0.0.11:8080\n", "    server node2 10.0.0.12:8080\n"]
    own = [f"    server node{at} 127.0.0.1:{node}\n" for at, node in enumerate(nodes, 1)]
    configuration = folder / "haproxy.cfg"
    configuration.write_text(
        fill_sample(
            "haproxy/haproxy.cfg",
            {
                "bind :443 ssl crt /etc/haproxy/certs/auth.example.com.pem alpn h2,http/1.1"
                f"{_ASKS_CLIENTS}\n": f"bind {host}:{port}{tls}\n",
                "".join(servers): "".join(own),
            },
        )
    )
    command = [program, "-db", "-f", str(configuration)]
    with running_front(command, port=port, log=folder / "haproxy.log"):
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
