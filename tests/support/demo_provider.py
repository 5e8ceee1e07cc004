"""A provider small enough to be wrong on purpose: what the consumer's story expects, in memory."""

import base64
import json
import time
from urllib.parse import parse_qs

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://provider.example"
CLIENT, SECRET = "demo", "wws_the-secret-of-the-demo-client"


class DemoProvider:
    """Issuer and API on one mock transport; `spoil` replaces the answer to one request."""

    def __init__(self, private_key=None, issuer=ISSUER):
        self.key = private_key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.issuer = issuer
        self.kids = ["key-1"]
        self.turns = []  # which kids the next tokens are signed with, before the last one
        self.resource = None
        self.tokens = {}
        self.revoked = {}  # how many requests each token is still good for
        self.spoilt = {}
        self.has_lists = True
        self.late = 2  # requests that a revoked token gets through
        self.seen = []

    def spoil(self, method, path, number, status, document, **headers):
        """Answer the n-th such request otherwise; text is sent as it is, the rest as JSON."""
        self.spoilt[(method, path, number)] = (status, document, headers)

    def transport(self):
        """Return the transport that leads here."""
        return httpx.MockTransport(self.handle)

    def handle(self, request):
        route = (request.method, request.url.path)
        self.seen.append(route)
        if (spoilt := self.spoilt.get((*route, self.seen.count(route)))) is not None:
            return answer(*spoilt)
        routes = {
            ("GET", "/public"): lambda request: answer(200, "moo"),
            ("GET", "/.well-known/oauth-authorization-server"): self.metadata,
            ("POST", "/token"): self.token,
            ("GET", "/jwks"): self.jwks,
            ("POST", "/revoke"): self.revoke,
            ("GET", "/read-resource"): self.read,
            ("POST", "/write-resource"): self.write,
        }
        return routes[route](request)

    def metadata(self, request):
        return answer(
            200,
            {
                "issuer": self.issuer,
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "revocation_endpoint": f"{self.issuer}/revoke",
                "jwks_revalidation_seconds": 8,
            },
        )

    def token(self, request):
        scheme, _, credentials = request.headers["Authorization"].partition(" ")
        if (scheme, base64.b64decode(credentials).decode()) != ("Basic", f"{CLIENT}:{SECRET}"):
            return answer(401, {"error": "invalid_client"})
        scope = parse_qs(request.content.decode())["scope"][0]
        list_uri = f"{self.issuer}/status-lists/1-0"
        status = {"status": {"status_list": {"idx": 0, "uri": list_uri}}} if self.has_lists else {}
        token = self.sign(scope=scope, **status)
        self.tokens[token] = scope
        document = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        return answer(200, document | {"scope": scope})

    def sign(self, typ="at+jwt", **changes):
        """Return a token like the issuer's, with changed claims."""
        now, kid = int(time.time()), self.turns.pop(0) if self.turns else self.kids[-1]
        claims = {"iss": self.issuer, "sub": CLIENT, "client_id": CLIENT, "aud": self.issuer}
        claims |= {"iat": now, "exp": now + 3600, "jti": str(len(self.tokens))} | changes
        return jwt.encode(claims, self.key, "RS256", headers={"typ": typ, "kid": kid})

    def jwks(self, request):
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        facts = {"use": "sig", "alg": "RS256"}
        return answer(200, {"keys": [key | {"kid": kid} | facts for kid in self.kids]})

    def revoke(self, request):
        """End a token of the client after a few more requests."""
        assert request.headers["Authorization"].startswith("Basic ")
        self.revoked[parse_qs(request.content.decode())["token"][0]] = self.late
        return answer(200, {})

    def read(self, request):
        return self.guard(request, "read") or answer(200, {"resource": self.resource})

    def write(self, request):
        if (refused := self.guard(request, "write")) is not None:
            return refused
        self.resource = json.loads(request.content)["value"]
        return answer(200, {"message": "resource created"})

    def guard(self, request, scope):
        """Return the refusal of a request, or None."""
        header = request.headers.get("Authorization")
        if header is None:
            return answer(401, "", **{"WWW-Authenticate": 'Bearer realm="api"'})
        token = header.removeprefix("Bearer ")
        granted = self.tokens.get(token)
        self.revoked |= {token: self.revoked.get(token, 1_000) - 1}
        if granted is None or self.revoked[token] < 0:
            return answer(401, "", **{"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if scope not in granted.split():
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            return answer(403, {}, **{"WWW-Authenticate": challenge})
        return None


def answer(status, document, headers=None, **more):
    """Return a response with text as it is and anything else as compact JSON."""
    headers = (headers or {}) | more
    if isinstance(document, str):
        return httpx.Response(status, text=document, headers=headers)
    return httpx.Response(status, json=document, headers=headers)
