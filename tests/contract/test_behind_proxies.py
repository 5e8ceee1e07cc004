"""Behind real proxies, with the samples in `deploy/`: whose address counts."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from keys.client_cert import read_tls_extension
from tests.support.certificates import FOR_CLIENTS, Authority, self_signed
from tests.support.haproxy import balancing_haproxy
from tests.support.http_server import Served, served
from tests.support.nginx import sample_nginx
from tests.support.provider import eventually
from watchword.process.addresses import parse_networks

FORGED = {
    "Forwarded": "for=6.6.6.6;proto=http",
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "ftp",
}


@pytest.fixture
def node() -> Iterator[Served]:
    """Serve with a proxy on this machine that is trusted."""
    with served(proxies=parse_networks("127.0.0.1"), client_certificates=True) as running:
        yield running


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give one that issues certificates."""
    return Authority(tmp_path)


def nginx(folder: Path, port: int, authority: Authority) -> AbstractContextManager[str]:
    """Run nginx in front of a port."""
    return sample_nginx(folder, port, authority.issue("front"))


def haproxy(folder: Path, port: int, authority: Authority) -> AbstractContextManager[str]:
    """Run HAProxy in front of a port."""
    own = authority.issue("front").both_file
    return balancing_haproxy(folder, port, certificate=own, client_ca=authority.file)


@pytest.mark.parametrize("front", [nginx, haproxy])
def test_the_client_is_whom_the_proxy_names(
    front: Callable[..., AbstractContextManager[str]],
    node: Served,
    tmp_path: Path,
    authority: Authority,
) -> None:
    """Its address and scheme, and nothing that the client says of itself."""
    source = httpx.HTTPTransport(local_address="127.0.0.9", verify=authority.trusting())
    with front(tmp_path, node.address[1], authority) as url, httpx.Client(transport=source) as http:
        node.scopes.clear()
        answers = [http.get(f"{url}/public", headers=headers) for headers in ({}, FORGED)]
        assert [answer.status_code for answer in answers] == [200, 200]
    seen = [each for each in node.scopes if each["path"] == "/public"]
    assert [(each["client"], each["scheme"]) for each in seen] == 2 * [(("127.0.0.9", 0), "https")]


@pytest.mark.parametrize("front", [nginx, haproxy])
def test_metrics_are_not_passed_on(
    front: Callable[..., AbstractContextManager[str]],
    node: Served,
    tmp_path: Path,
    authority: Authority,
) -> None:
    """They tell strangers how much goes on, and cost more than most requests; however written."""
    with front(tmp_path, node.address[1], authority) as url:
        for path in ("/metrics", "/metrics?x", "/%6detrics"):
            answer = httpx.get(url + path, verify=authority.trusting(), trust_env=False)
            assert answer.status_code == 404
    assert not [each for each in node.scopes if "metrics" in each["path"]]


@pytest.mark.rfc("9440-2.4-1")
@pytest.mark.attack("V38")
@pytest.mark.parametrize("front", [nginx, haproxy])
def test_the_certificate_is_the_one_that_the_proxy_was_shown(
    front: Callable[..., AbstractContextManager[str]],
    node: Served,
    tmp_path: Path,
    authority: Authority,
) -> None:
    """Whoever issued it, of any usual size, and nothing that the client writes itself."""
    long = x509.SubjectAlternativeName([x509.DNSName(f"n{at}.example.com") for at in range(120)])
    forged = {"Client-Cert": f":{b64encode(authority.issue('other').chain[0]).decode()}:"}
    forged["Client-Cert-Chain"] = forged["Client-Cert"]
    with front(tmp_path, node.address[1], authority) as url:
        for shown in (
            None,
            authority.issue("svc", FOR_CLIENTS),
            authority.issue("long", FOR_CLIENTS, long),
            self_signed(tmp_path / "own", FOR_CLIENTS),
        ):
            context = authority.trusting()
            if shown is not None:
                context.load_cert_chain(shown.file, shown.key_file)
            with httpx.Client(verify=context, trust_env=False, headers=forged) as http:
                assert http.get(f"{url}/public").status_code == 200
            assert read_tls_extension(node.scopes[-1]) == (() if shown is None else shown.chain)


@pytest.mark.rfc("9700-4.13-1")
def test_a_peer_that_is_no_trusted_proxy_names_no_other_address() -> None:
    """Its own address stays, whatever it sends."""
    with served(proxies=parse_networks("127.0.0.2")) as node:
        answer = httpx.get(f"http://127.0.0.1:{node.address[1]}/", headers=FORGED, trust_env=False)
        assert answer.status_code == 200
        assert node.scopes[-1]["client"][0] == "127.0.0.1"
        assert node.scopes[-1]["scheme"] == "http"


def test_fields_that_contradict_each_other_are_refused(node: Served) -> None:
    """400 as for any request that cannot be read, and the log says why."""
    forged = (
        b"GET / HTTP/1.1\r\nHost: x\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-For: 192.0.2.1\r\n"
    )
    answer = node.ask(forged + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"the proxy should remove what it does not write itself" in answer
    assert node.scopes == []
    assert eventually(lambda: node.reasons() == {"bad_forwarding": 1})
