"""Clients of other makes: each gets a token by one method, uses it, and tells what came of it."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from joserfc.jwk import ECKey, OKPKey, RSAKey
from requests_oauth2client import (
    BaseClientAuthenticationMethod,
    ClientSecretBasic,
    ClientSecretJwt,
    ClientSecretPost,
    OAuth2Client,
    PrivateKeyJwt,
    PublicApp,
)

from tests.support.certificates import Certificate

FOLDER = Path(__file__).parent / "oauth_clients"
_PATIENCE = 60.0
_AUTHLIB_KEYS: Mapping[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class NoOauthClients(LookupError):
    """The clients from npm are not installed on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a client is to do.

    Args:
        issuer: its identifier.
        api: the URL to get with the token.
        client_id: of the client.
        method: how it authenticates.
        secret: if that is by a secret.
        key: its private JWK, with `alg` and `kid`.
        certificate: what it shows in TLS.
        ca: file of the authority of the issuer's certificate.
        dpop: whether the token is to be bound to a key.
    """

    issuer: str
    api: str
    client_id: str
    method: str
    secret: str | None = None
    key: Mapping[str, str] | None = None
    certificate: Certificate | None = None
    ca: Path | None = None
    dpop: bool = False

    def session(self) -> dict[str, Any]:
        """Give the settings of `requests` for mutual TLS."""
        if self.certificate is None:
            return {}
        files = str(self.certificate.file), str(self.certificate.key_file)
        return {"cert": files, "verify": str(self.ca)}


class Outcome(NamedTuple):
    """The type of the token in lower case (it has none, RFC 6749 §5.1), and the API's answer."""

    token_type: str
    status: int
    body: str


class _ShortLived:
    """What is added to Authlib's methods: their assertions live for a minute, not an hour."""

    def sign(self, auth: Any, token_endpoint: str) -> Any:
        """Sign with claims of this request; Authlib writes its `jti` into them."""
        self.claims = {"exp": int(time.time()) + 60}
        return super().sign(auth, token_endpoint)  # type: ignore[misc]


class _ShortLivedSecretJwt(_ShortLived, ClientSecretJWT):
    """client_secret_jwt."""


class _ShortLivedKeyJwt(_ShortLived, PrivateKeyJWT):
    """private_key_jwt."""


def call_with_authlib(call: Call) -> Outcome:
    """Use Authlib's session on requests."""
    url = f"{call.issuer}/token"
    method, secret = call.method, call.secret
    if call.key is not None:
        secret = _AUTHLIB_KEYS[call.key["kty"]].import_key(dict(call.key))
    elif method.endswith("tls_client_auth"):
        method = "none"  # sends `client_id`, which is all that is needed beside the certificate
    with OAuth2Session(call.client_id, secret, token_endpoint_auth_method=method) as session:
        session.trust_env = False
        # Its first argument is the audience, for which it takes the token endpoint if left out.
        if call.key is not None:
            alg, header = call.key["alg"], {"kid": call.key["kid"]}
            signs = _ShortLivedKeyJwt(call.issuer, alg=alg, headers=header)
            session.register_client_auth_method(signs)
        elif method == "client_secret_jwt":
            session.register_client_auth_method(_ShortLivedSecretJwt(call.issuer))
        token = session.fetch_token(
            url, grant_type="client_credentials", scope="read", **call.session()
        )
        answer = session.get(call.api, **call.session())
    return Outcome(token["token_type"].lower(), answer.status_code, answer.text)


def call_with_requests_oauth2client(call: Call) -> Outcome:
    """Use `OAuth2Client`."""
    with requests.Session() as session, requests.Session() as plain:
        session.trust_env = plain.trust_env = False
        for name, value in call.session().items():
            setattr(session, name, value)
        client = OAuth2Client(
            f"{call.issuer}/token",
            auth=_requests_oauth2client_auth(call),
            session=session,
            dpop_bound_access_tokens=call.dpop,
            testing=True,
        )
        token = client.client_credentials(scope="read")
        answer = plain.get(call.api, auth=token, verify=str(call.ca) if call.ca else None)
    return Outcome(token.token_type.lower(), answer.status_code, answer.text)


def _requests_oauth2client_auth(call: Call) -> BaseClientAuthenticationMethod:
    name, secret = call.client_id, call.secret or ""
    if call.key is not None:
        return PrivateKeyJwt(name, dict(call.key), aud=call.issuer)
    makers: dict[str, Callable[[], BaseClientAuthenticationMethod]] = {
        "client_secret_basic": lambda: ClientSecretBasic(name, secret),
        "client_secret_post": lambda: ClientSecretPost(name, secret),
        "client_secret_jwt": lambda: ClientSecretJwt(name, secret, aud=call.issuer),
    }
    return makers.get(call.method, lambda: PublicApp(name))()


def call_from_node(library: str, call: Call) -> Outcome:
    """Use a client of npm's.

    Raises:
        NoOauthClients: a part is not installed; the text says how to have it.
    """
    if shutil.which("node") is None or not (FOLDER / "node_modules").is_dir():
        raise NoOauthClients(f"{library} is missing: npm ci --prefix {FOLDER} (needs nodejs)")
    wanted: dict[str, Any] = {"library": library, "clientId": call.client_id}
    wanted |= {name: getattr(call, name) for name in ("issuer", "api", "method", "secret", "dpop")}
    wanted["key"] = call.key and dict(call.key)
    if call.certificate is not None and call.ca is not None:
        wanted["ca"] = call.ca.read_text()
        wanted["certificate"] = call.certificate.file.read_text()
        wanted["certificateKey"] = call.certificate.key_file.read_text()
    done = subprocess.run(
        ["node", "client.mjs"],
        cwd=FOLDER,
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Outcome(**json.loads(done.stdout))
