"""A provider whose keys are outside: the real command, a real SoftHSM2, a KMS that signs."""

import time
from pathlib import Path

import httpx
import pytest

from tests.support.kms import kms_server
from tests.support.provider import Place, eventually, make_place, running
from tests.support.softhsm import PIN, SoftHsm


def kid_of(answer: httpx.Response) -> str:
    """Return the kid of the token in an answer, whose signature the published set verifies."""
    import jwt

    token = answer.json()["access_token"]
    return str(jwt.get_unverified_header(token)["kid"])


@pytest.mark.attack("T23")
def test_keys_move_into_a_security_module_and_its_outage_is_503(
    tmp_path: Path, softhsm: SoftHsm
) -> None:
    """Set the signer and make the next key there; what the old one signed stays valid."""
    place = make_place(tmp_path, **softhsm.settings())
    old = place.add_key()
    made = place.json("keys", "generate", "--activate-in", "0")
    text = next((tmp_path / "data" / "keys").glob(f"{made['kid']}.pem")).read_text()
    assert '"signer":{"kind":"pkcs11"' in text
    assert "PRIVATE KEY" not in text
    assert PIN not in text
    refused = place.run("keys", "export", "--private", "--kid", made["kid"])
    assert refused.returncode == 1
    assert "pkcs11 and cannot leave it" in refused.stderr

    client = place.json("clients", "create", "moved", "--all-scopes")
    with running(place) as process:
        answer = place.ask(client, scope="read")
        token = answer.json()["access_token"]
        assert kid_of(answer) == made["kid"] != old
        shown = {"authorization": f"Bearer {token}"}
        assert place.get("/read-resource", headers=shown).status_code == 200
        assert len(place.get("/jwks").json()["keys"]) == 2
        _outage(place, client, softhsm)
        assert eventually(lambda: place.ask(client).status_code == 200)
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    log = place.log()
    events = [line["event"] for line in log if line["event"].startswith("signer.")]
    assert events == ["signer.unavailable", "signer.available"]
    assert {line.get("reason") for line in log if line["event"] == "token.refused"} == {
        "signer_unavailable"
    }
    assert PIN not in (tmp_path / "log").read_text() + arguments.decode()


def _outage(place: Place, client: dict[str, str], softhsm: SoftHsm) -> None:
    softhsm.stall()
    try:
        began = time.monotonic()
        answer = place.ask(client)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json() == {"error": "temporarily_unavailable"}
        assert time.monotonic() - began < 10
        assert place.get("/jwks").status_code == 200  # meanwhile everything else is served
    finally:
        softhsm.resume()


def test_a_wrong_pin_ends_the_start_with_one_line(tmp_path: Path, softhsm: SoftHsm) -> None:
    """The line names the setting, and not the PIN."""
    place = make_place(tmp_path, **softhsm.settings())
    place.json("keys", "generate")
    place.settings["WATCHWORD_PKCS11_PIN"] = "0815-wrong"
    done = place.run("serve")
    assert done.returncode == 1
    assert "refused the PIN (PinIncorrect); set WATCHWORD_PKCS11_PIN" in done.stderr
    assert "0815-wrong" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"WATCHWORD_KEY_SIGNER": "pkcs11", "WATCHWORD_PKCS11_TOKEN": "t"},
            "WATCHWORD_KEY_SIGNER: pkcs11 needs WATCHWORD_PKCS11_MODULE and WATCHWORD_PKCS11_PIN"
            " as well; set them",
        ),
        ({"WATCHWORD_KEY_SIGNER": "vault"}, "WATCHWORD_KEY_SIGNER: "),
    ],
)
def test_a_signer_that_cannot_be_is_a_mistake_of_the_settings(
    tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    """One line and exit code 2."""
    done = make_place(tmp_path, **settings).run("keys", "list")
    assert done.returncode == 2
    assert words in done.stderr


def test_a_key_in_a_module_that_is_not_configured_is_named(
    tmp_path: Path, softhsm: SoftHsm
) -> None:
    """The setting was lost, not the key."""
    place = make_place(tmp_path, **softhsm.settings())
    place.json("keys", "generate")
    place.settings["WATCHWORD_KEY_SIGNER"] = "local"
    done = place.run("serve")
    assert done.returncode == 1
    assert "set WATCHWORD_KEY_SIGNER=pkcs11" in done.stderr


def test_a_provider_signs_with_aws_kms(tmp_path: Path) -> None:
    """Endpoint, region and credentials are boto3's own matter."""
    with kms_server() as environment:
        place = make_place(tmp_path, WATCHWORD_KEY_SIGNER="aws-kms", **environment)
        made = place.json("keys", "generate", "--alg", "RS256")
        client = place.json("clients", "create", "cloud", "--all-scopes")
        with running(place):
            # On a loaded machine the first signatures may take longer than a request waits.
            assert eventually(lambda: place.ask(client).status_code == 200)
            answer = place.ask(client, scope="read")
            shown = {"authorization": f"Bearer {answer.json()['access_token']}"}
            assert kid_of(answer) == made["kid"]
            assert place.get("/read-resource", headers=shown).status_code == 200
