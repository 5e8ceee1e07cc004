"""`watchword token explain` of what clients make themselves: assertions and DPoP proofs."""

import json
import time

import pytest

from tests.support.assertions import jwk_of, make_assertion, make_hmac_assertion
from tests.support.cli import ISSUER, run_in_empty_folder
from tests.support.dpop import ProofForge
from watchword.testing.forge import DROP, TokenForge


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


@pytest.fixture
def registered(run, tmp_path):
    """Register a client with a key."""
    return register(run, tmp_path)


def register(run, tmp_path):
    """Register a client with a key; return what runs commands."""
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [jwk_of()]}))
    keys = ("--auth", "private_key_jwt", "--jwks", "jwks.json")
    assert run("clients", "create", "svc-a", *keys, "--all-scopes").returncode == 0
    return run


def assertion(*key, age=0, **changes):
    """Sign an assertion of now, or of some seconds ago."""
    now = int(time.time()) - age
    return make_assertion(*key, **{"aud": ISSUER, "iat": now, "exp": now + 60} | changes)


def outcomes(done):
    """Return the outcome of each check, and why the whole is refused."""
    told = json.loads(done.stdout)
    assert told["accepted"] == (done.returncode == 0)
    return {each["check"]: each["outcome"] for each in told["checks"]}, told["reason"]


@pytest.mark.rfc("7523-3-1")
def test_a_good_assertion_is_accepted_as_often_as_it_is_explained(registered):
    """Its `jti` is not claimed: the client may still send it."""
    sent = assertion()
    for _ in range(2):
        checks, reason = outcomes(registered("token", "explain", sent, "--json"))
        assert reason is None
        assert set(checks.values()) == {"passed"}
        assert list(checks)[:2] == ["client", "method"]
        assert list(checks)[-3:] == ["key", "signature", "state"]
    done = registered("token", "explain", sent)
    assert "Accepted as the client svc-a, unless it was used before" in done.stderr


@pytest.mark.parametrize(
    ("key", "changes", "failed", "reason"),
    [
        ((), {"aud": f"{ISSUER}/token"}, {"audience"}, "assertion_audience"),
        ((), {"age": 900, "aud": "b"}, {"times", "audience"}, "assertion_expired"),
        ((), {"jti": DROP}, {"identity"}, "assertion_identity"),
        ((), {"header": {"typ": "JOSE"}}, {"type"}, "assertion_type"),
        (("ES256", 1), {}, {"key"}, "assertion_key"),
        (("ES256", 1), {"header": {"kid": jwk_of()["kid"]}}, {"signature"}, "assertion_signature"),
        ((), {"iss": "b", "sub": "b"}, {"client"}, "unknown_client"),
        ((), {"iss": "b"}, {"method", "identity"}, "wrong_method"),
    ],
)
def test_every_mistake_of_an_assertion_is_told(registered, key, changes, failed, reason):
    """Check by check, with the reason that the log of the issuer has."""
    sent = assertion(*key, **changes)
    checks, told = outcomes(registered("token", "explain", sent, "--json"))
    assert {name for name, outcome in checks.items() if outcome == "failed"} == failed
    assert told == reason
    assert f"{reason}. " in registered("token", "explain", sent).stderr


@pytest.mark.rfc("7523-3-4")
def test_an_assertion_that_a_secret_made_is_told_likewise(run, monkeypatch):
    """The secret is opened for it; none is shown. Switched off, the method itself is refused."""
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", "a passphrase of a test")
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET_JWT", "on")
    made = run("clients", "create", "svc-a", "--auth", "client_secret_jwt", "--json")
    secret, now = json.loads(made.stdout)["client_secret"], int(time.time())
    times = {"aud": ISSUER, "iat": now, "exp": now + 60}
    done = run("token", "explain", make_hmac_assertion(secret.encode(), **times), "--json")
    checks, reason = outcomes(done)
    assert (set(checks.values()), reason, secret in done.stdout) == ({"passed"}, None, False)
    other = make_hmac_assertion(b"another secret" * 3, **times)
    checks, reason = outcomes(run("token", "explain", other, "--json"))
    assert (checks["signature"], reason) == ("failed", "assertion_signature")
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET_JWT", "off")
    checks, reason = outcomes(run("token", "explain", other, "--json"))
    assert (checks["method"], reason) == ("failed", "unsupported_method")


@pytest.mark.rfc("fapi-5.3.2.1-2", "fapi-5.4-1")
def test_the_profile_of_the_issuer_decides(run, tmp_path, monkeypatch):
    """What it forbids is told by the check that refuses it."""
    monkeypatch.setenv("WATCHWORD_PROFILE", "fapi2")
    issuer = "https://auth.example.com"
    monkeypatch.setenv("WATCHWORD_ISSUER", issuer)
    registered = register(run, tmp_path)
    checks, reason = outcomes(registered("token", "explain", assertion(aud=[issuer]), "--json"))
    assert (checks["audience"], reason) == ("failed", "assertion_audience")
    told = registered("token", "explain", assertion("RS256", aud=issuer)).stdout
    assert "PS256, ES256, Ed25519, EdDSA" in told
    assert f"{issuer} alone, and no list" in told
    assert "switched on with WATCHWORD_PROFILE=fapi2" in told
    forge = ProofForge("RS256", url=f"{issuer}/token", now=time.time())
    proof = registered("token", "explain", forge.proof().decode(), "--json")
    assert json.loads(proof.stdout)["reason"] == "proof_algorithm"
    bearer = TokenForge(issuer=issuer).token(aud="https://api.example.com").decode()
    checks, _ = outcomes(registered("token", "explain", bearer, "--json"))
    assert (checks["algorithm"], checks["confirmation"]) == ("failed", "failed")


def test_what_the_registration_says_decides(registered):
    """A client that is disabled, or has another method."""
    assert registered("clients", "disable", "svc-a").returncode == 0
    checks, reason = outcomes(registered("token", "explain", assertion(), "--json"))
    assert (checks["signature"], checks["state"], reason) == ("passed", "failed", "client_disabled")
    assert registered("clients", "create", "plain", "--all-scopes").returncode == 0
    of_plain = assertion(iss="plain", sub="plain")
    checks, reason = outcomes(registered("token", "explain", of_plain, "--json"))
    assert (checks["method"], checks["key"], reason) == ("failed", "not reached", "wrong_method")


def test_a_proof_is_told_from_a_token(run):
    """With what it was made for, when, and by which key."""
    forge = ProofForge(url=f"{ISSUER}/token", now=time.time())
    done = run("token", "explain", forge.proof().decode(), "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["accepted"], told["reason"]) == (1, False, None)
    assert (told["htm"], told["htu"], told["jkt"]) == ("POST", f"{ISSUER}/token", forge.jkt)
    done = run("token", "explain", forge.proof().decode())
    assert "no token" in done.stderr
    assert forge.jkt in done.stdout


@pytest.mark.parametrize(
    ("header", "claims", "reason"),
    [
        ({}, {"iat": time.time() - 7200}, "proof_time"),
        ({"jwk": "key"}, {}, "proof_key"),
        ({"jwk": {"kty": "EC"}}, {"htm": 1}, "proof_claims"),
    ],
)
def test_a_bad_proof_is_told_why(run, header, claims, reason):
    """In the words of the table of reasons."""
    forge = ProofForge(now=time.time())
    done = run("token", "explain", forge.proof(header=header, **claims).decode())
    assert done.returncode == 1
    assert f"Refused: {reason}. " in done.stderr
