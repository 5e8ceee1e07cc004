"""Clients with certificates get bound tokens, and use them: by TLS itself and through proxies."""

import json
import signal
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from keys.client_cert import certificate_thumbprint
from keys.encoding import decode_base64url
from tests.support.certificates import (
    FOR_CLIENTS,
    IS_AUTHORITY,
    SIGNS_CERTIFICATES,
    Authority,
    Certificate,
    build_certificate,
    common_name,
    self_signed,
    write_certificate,
)
from tests.support.haproxy import balancing_haproxy
from tests.support.nginx import sample_nginx
from tests.support.provider import PATIENCE, Place, eventually, make_place, running


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give one for the server and for its clients."""
    return Authority(tmp_path)


@pytest.fixture
def place(tmp_path: Path, authority: Authority) -> Place:
    """Give a provider with clients that have certificates."""
    place = make_place(tmp_path, WATCHWORD_TLS_CLIENT_CA=str(authority.file))
    place.add_key()
    return place


def serve_tls_with(place: Place, authority: Authority) -> None:
    """Have the provider serve TLS directly."""
    own = authority.issue("server")
    place.settings |= {
        "WATCHWORD_ISSUER": f"https://localhost:{place.port}",
        "WATCHWORD_TLS_CERT": str(own.file),
        "WATCHWORD_TLS_KEY": str(own.key_file),
    }


@contextmanager
def started(place: Place) -> Iterator[None]:
    """Serve; whether the provider is ready is seen over TLS."""
    process = place.start()
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert process.stdout is not None
        process.stdout.close()


def http(authority: Authority, shown: Certificate | None = None) -> httpx.Client:
    """Make a client that shows a certificate."""
    context = authority.trusting()
    if shown is not None:
        context.load_cert_chain(shown.file, shown.key_file)
    return httpx.Client(verify=context, trust_env=False)


def ask(client: httpx.Client, url: str, client_id: str) -> httpx.Response:
    """Ask for a token with nothing but the certificate."""
    return client.post(
        f"{url}/token", data={"grant_type": "client_credentials", "client_id": client_id}
    )


def read(client: httpx.Client, url: str, token: str) -> httpx.Response:
    """Use a token."""
    return client.get(f"{url}/read-resource", headers={"Authorization": f"Bearer {token}"})


def claims_of(token: str) -> dict[str, object]:
    """Decode the claims of a token."""
    claims: dict[str, object] = json.loads(decode_base64url(token.split(".")[1]))
    return claims


@pytest.mark.rfc("8705-2-1", "8705-3-1")
def test_a_client_is_known_by_the_name_in_its_certificate(
    place: Place, authority: Authority
) -> None:
    """Its token counts over connections with the same certificate alone."""
    serve_tls_with(place, authority)
    place.settings["WATCHWORD_MTLS_URL"] = f"https://localhost:{place.port}"
    for name in ("billing", "stock"):
        place.json(
            *("clients", "create", name, "--auth", "tls_client_auth", "--all-scopes"),
            *("--tls-subject", f"dn=CN={name}", "--certificate-bound"),
        )
    billing, stock = (authority.issue(name, FOR_CLIENTS) for name in ("billing", "stock"))
    with (
        started(place),
        http(authority, billing) as own,
        http(authority, stock) as other,
        http(authority) as without,
    ):
        url = place.settings["WATCHWORD_ISSUER"]
        assert eventually(lambda: is_ready(without, url))
        answer = ask(own, url, "billing")
        assert answer.status_code == 200, answer.text
        assert answer.json()["token_type"] == "Bearer"
        token = answer.json()["access_token"]
        thumbprint = certificate_thumbprint(billing.chain[0])
        assert claims_of(token)["cnf"] == {"x5t#S256": thumbprint}
        assert read(own, url, token).status_code == 200
        for stranger in (other, without):
            refused = read(stranger, url, token)
            assert refused.status_code == 401
            assert 'error="invalid_token"' in refused.headers["www-authenticate"]
            answer = ask(stranger, url, "billing")
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        metadata = without.get(f"{url}/.well-known/oauth-authorization-server").json()
    assert {"tls_client_auth", "self_signed_tls_client_auth"} <= {
        *metadata["token_endpoint_auth_methods_supported"]
    }
    assert metadata["mtls_endpoint_aliases"]["token_endpoint"] == f"{url}/token"
    reasons = [each.get("reason") for each in place.log() if each["event"] == "token.refused"]
    assert reasons == ["certificate_subject", "no_credentials"]


@pytest.mark.rfc("9440-2-1", "9440-2.4-1", "9440-2.4-2")
@pytest.mark.attack("V38")
@pytest.mark.parametrize("front", ["nginx", "haproxy"])
def test_through_a_proxy_a_client_is_known_by_its_key(
    place: Place, authority: Authority, tmp_path: Path, front: str
) -> None:
    """Though the certificate is its own work; one that it only has a copy of proves nothing."""
    stock = self_signed(tmp_path / "stock", FOR_CLIENTS)
    forger = self_signed(tmp_path / "forger", FOR_CLIENTS)
    place.settings["WATCHWORD_TRUSTED_PROXIES"] = "127.0.0.1"
    place.json(
        *("clients", "create", "stock", "--auth", "self_signed_tls_client_auth", "--all-scopes"),
        *("--certificate", str(stock.file), "--certificate-bound"),
    )
    with (
        running(place),
        fronted(front, tmp_path, place.port, authority) as url,
        http(authority, stock) as own,
        http(authority, forger) as other,
    ):
        assert eventually(lambda: is_ready(own, url))
        answer = ask(own, url, "stock")
        assert answer.headers["cache-control"] == "no-store"
        token = answer.json()["access_token"]
        assert read(own, url, token).status_code == 200
        assert read(other, url, token).status_code == 401
        for written in (None, client_cert(stock)):
            other.headers.update({} if written is None else {"Client-Cert": written})
            assert ask(other, url, "stock").status_code == 401
            assert read(other, url, token).status_code == 401
    reasons = [each.get("reason") for each in place.log() if each["event"] == "token.refused"]
    assert reasons == ["certificate_key", "certificate_key"]


def is_ready(client: httpx.Client, url: str) -> bool:
    """Tell whether the provider answers."""
    try:
        return client.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def fronted(
    front: str, folder: Path, port: int, authority: Authority
) -> AbstractContextManager[str]:
    """Run a proxy in front of a port."""
    own = authority.issue("front")
    if front == "nginx":
        return sample_nginx(folder, port, own)
    return balancing_haproxy(folder, port, certificate=own.both_file, client_ca=authority.file)


@pytest.mark.attack("V38")
@pytest.mark.rfc("8705-2-1")
def test_a_client_s_own_certificate_names_no_other_client(
    place: Place, authority: Authority, tmp_path: Path
) -> None:
    """Though it may sign others: TLS lets both pass, and the issuer only the client's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    stock = self_signed(tmp_path / "stock", IS_AUTHORITY, SIGNS_CERTIFICATES, key=key)
    forged = write_certificate(tmp_path / "forged", signed_by(stock, key, "billing", key), key)
    serve_tls_with(place, authority)
    place.settings["WATCHWORD_TLS_CLIENT_CERTS"] = str(stock.file)
    method = ("--auth", "self_signed_tls_client_auth", "--all-scopes")
    place.json("clients", "create", "stock", *method, "--certificate", str(stock.file))
    named = ("--auth", "tls_client_auth", "--all-scopes", "--tls-subject", "dn=CN=billing")
    place.json("clients", "create", "billing", *named)
    url = place.settings["WATCHWORD_ISSUER"]

    def answers() -> list[int]:
        with started(place), http(authority, stock) as own, http(authority, forged) as other:
            assert eventually(lambda: is_ready(own, url))
            return [
                ask(own, url, "stock").status_code,
                ask(other, url, "billing").status_code,
                ask(own, url, "billing").status_code,
            ]

    assert answers() == [200, 401, 401]
    # An operator who lists it among the authorities is told by the first request.
    (tmp_path / "both.pem").write_bytes(authority.file.read_bytes() + stock.file.read_bytes())
    place.settings["WATCHWORD_TLS_CLIENT_CA"] = str(tmp_path / "both.pem")
    assert answers()[0] == 401
    reasons = [each.get("reason") for each in place.log() if each["event"] == "token.refused"]
    assert "certificate_authority" in reasons


def signed_by(
    above: Certificate,
    above_key: ec.EllipticCurvePrivateKey,
    name: str,
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """Sign a certificate with the key of another."""
    issuer = x509.load_der_x509_certificate(above.chain[0]).subject
    day = timedelta(days=1)
    subject = common_name(name)
    return build_certificate(issuer, above_key, subject, key, FOR_CLIENTS, ends_in=day)


def client_cert(certificate: Certificate) -> str:
    """Write `Client-Cert` as a proxy does."""
    return f":{b64encode(certificate.chain[0]).decode()}:"


def test_a_certificate_that_cannot_be_registered_is_told_in_one_line(
    place: Place, tmp_path: Path
) -> None:
    """A file that is none, and a kind of key that is not taken."""
    place.settings["WATCHWORD_TRUSTED_PROXIES"] = "127.0.0.1"
    key = ec.generate_private_key(ec.SECP384R1())
    for file, words in (
        (tmp_path / "none", "cannot be read: no such file or directory"),
        (self_signed(tmp_path / "a").key_file, "must hold a certificate as PEM"),
        (self_signed(tmp_path / "b", key=key).file, "use RSA, P-256 or Ed25519"),
    ):
        method = ("--auth", "self_signed_tls_client_auth")
        done = place.run("clients", "create", "till", *method, "--certificate", str(file))
        assert done.returncode == 2
        assert f"--certificate: {file}" in done.stderr
        assert words in done.stderr
