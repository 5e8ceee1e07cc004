"""A real nginx in front of a server: with the sample in `deploy/`, or caching as a CDN does."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.certificates import Certificate
from tests.support.fronts import fill_sample, find_program, running_front
from tests.support.provider import free_port

_CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""
_CACHE = """
    proxy_cache_path {folder}/cache keys_zone=keys:1m;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {upstream};
            proxy_cache keys;
            proxy_cache_lock on;
            add_header X-Cache $upstream_cache_status;
        }}
    }}
"""


@contextmanager
def caching_nginx(folder: Path, upstream: str) -> Iterator[str]:
    """Run one that caches; give its URL."""
    port = free_port()
    with _nginx(folder, port, _CACHE.format(folder=folder, port=port, upstream=upstream)):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def sample_nginx(folder: Path, node: int, certificate: Certificate) -> Iterator[str]:
    """Run one with the sample in front of a node on this port; give its URL."""
    port = free_port()
    sample = fill_sample(
        "nginx/watchword.conf",
        {
            "server 127.0.0.1:8080;": f"server 127.0.0.1:{node};",
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "/etc/ssl/certs/auth.example.com.pem": str(certificate.file),
            "/etc/ssl/private/auth.example.com.key": str(certificate.key_file),
        },
    )
    with _nginx(folder, port, sample):
        yield f"https://127.0.0.1:{port}"


@contextmanager
def _nginx(folder: Path, port: int, servers: str) -> Iterator[None]:
    configuration = folder / "nginx.conf"
    # The workers of a root's nginx would be another account's, which has no access to the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(_CONFIGURATION.format(user=user, folder=folder, servers=servers))
    log = folder / "start.log"
    command = [find_program("nginx"), "-p", str(folder), "-c", str(configuration), "-e", str(log)]
    with running_front(command, port=port, log=log):
        yield
