"""PyJWT, given only the address of our key set, accepts our tokens and refuses altered ones."""

from pathlib import Path

import jwt
import pytest

from tests.support.provider import make_place, running


def test_pyjwts_own_client_accepts_our_tokens(tmp_path: Path) -> None:
    """Nothing of ours takes part in the checking."""
    place = make_place(tmp_path)
    place.add_key()
    client = place.json("clients", "create", "interop", "--all-scopes")
    with running(place):
        token = place.ask(client).json()["access_token"]
        key = jwt.PyJWKClient(f"{place.url}/jwks").get_signing_key_from_jwt(token)
        checks = {"algorithms": ["RS256"], "audience": place.url, "issuer": place.url}
        claims = jwt.decode(token, key, **checks)
        assert claims["client_id"] == "interop"
        altered = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(altered, key, **checks)
