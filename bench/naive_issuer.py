"""What one writes in an afternoon: a Starlette issuer with its key made at start and one client.

The peer of bench/startup.py. Not an example: it checks nothing but the secret.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import base64
import time
from urllib.parse import parse_qsl

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

PORT, CLIENT_ID, CLIENT_SECRET = int(sys.argv[1]), sys.argv[2], sys.argv[3]
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)


async def token(request: Request) -> JSONResponse:
    """Issue a token."""
    form = dict(parse_qsl((await request.body()).decode()))
    given = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
    if given != f"{CLIENT_ID}:{CLIENT_SECRET}":
        return JSONResponse({"error": "invalid_client"}, status_code=401)
    now = int(time.time())
    claims = {
        "iss": "naive",
        "sub": CLIENT_ID,
        "iat": now,
        "exp": now + 3600,
        "scope": form["scope"],
    }
    signed = jwt.encode(claims, KEY, algorithm="RS256", headers={"typ": "at+jwt"})
    return JSONResponse({"access_token": signed, "token_type": "Bearer", "expires_in": 3600})


if __name__ == "__main__":
    app = Starlette(routes=[Route("/token", token, methods=["POST"])])
    uvicorn.run(app, port=PORT, log_level="warning")
