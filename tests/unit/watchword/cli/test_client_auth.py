"""What `token get` authenticates with, as the settings have it."""

import pytest

from consumer.client_assertion import PrivateKeyJwt
from consumer.client_auth import ClientSecretBasic, TlsClientAuth
from consumer.federated_token import FederatedToken
from keys.stores.key_file import render_private_pem
from tests.support.keys import ec_key
from watchword.cli import token
from watchword.cli.output import WrongUsage
from watchword.settings import load_settings


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """Return a function that reads these settings of a client in an empty folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key.pem").write_bytes(render_private_pem(ec_key()))

    def configure(**settings):
        for name in ("ID", "SECRET", "KEY", "ASSERTION_FILE", "CERT"):
            monkeypatch.delenv(f"WATCHWORD_CLIENT_{name}", raising=False)
        monkeypatch.setenv("WATCHWORD_CLIENT_ID", "billing")
        for name, value in settings.items():
            monkeypatch.setenv(f"WATCHWORD_CLIENT_{name}", value)
        return load_settings()

    return configure


def test_each_setting_stands_for_a_method(configured):
    """A certificate may come beside another one; the key then is the certificate's."""
    secret = ClientSecretBasic("billing", "s3cret")
    tls = TlsClientAuth("billing")
    for settings, method, certificate in (
        ({"SECRET": "s3cret"}, secret, None),
        ({"KEY": "key.pem"}, PrivateKeyJwt("billing", ec_key()), None),
        ({"CERT": "both.pem"}, tls, "both.pem"),
        ({"CERT": "c.pem", "KEY": "key.pem"}, tls, ("c.pem", "key.pem")),
        ({"CERT": "c.pem", "KEY": "key.pem", "SECRET": "s3cret"}, secret, ("c.pem", "key.pem")),
    ):
        read = configured(**settings)
        assert token._client_auth(read) == method
        assert token._certificate(read) == certificate
    assert isinstance(token._client_auth(configured(ASSERTION_FILE="token")), FederatedToken)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "set WATCHWORD_CLIENT_SECRET in the environment"),
        (
            {"SECRET": "s3cret", "KEY": "key.pem"},
            "set only one of WATCHWORD_CLIENT_SECRET, WATCHWORD_CLIENT_KEY: a client "
            "authenticates in one way",
        ),
        ({"KEY": "gone.pem"}, "WATCHWORD_CLIENT_KEY: gone.pem cannot be read: no such file"),
        (
            {"KEY": "watchword.toml"},
            "WATCHWORD_CLIENT_KEY: the client's key is no private key in PEM",
        ),
        ({"ID": "", "KEY": "key.pem"}, "WATCHWORD_CLIENT_ID: a client needs an id"),
    ],
)
def test_what_cannot_be_is_named(configured, tmp_path, settings, line):
    """In one line, before anything is sent."""
    (tmp_path / "watchword.toml").write_text("")
    read = configured(**settings)
    with pytest.raises(WrongUsage) as caught:
        token._client_auth(read)
    assert str(caught.value).startswith(line)
