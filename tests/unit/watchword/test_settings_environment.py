"""Which variables of the environment are settings, mistakes, or the platform's own."""

import pytest

from watchword.settings import SettingsError, load_settings

BOOLEAN = "must be on, true, yes or 1, or else off, false, no or 0"


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Put variables into the environment."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def folder_without_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Stand where there is neither `.env` nor `watchword.toml`."""
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("service", ["WATCHWORD", "WATCHWORD_API", "WATCHWORD_ISSUER_BLUE"])
def test_variables_of_a_service_with_our_name_are_ignored(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """Kubernetes sets them in every pod of the namespace, whoever asked for it."""
    set_all(
        monkeypatch,
        {
            f"{service}_SERVICE_HOST": "10.0.0.7",
            f"{service}_SERVICE_PORT": "80",
            f"{service}_SERVICE_PORT_HTTP_API": "80",
            f"{service}_PORT": "tcp://10.0.0.7:80",
            f"{service}_PORT_80_TCP": "tcp://10.0.0.7:80",
            f"{service}_PORT_80_TCP_PROTO": "tcp",
            f"{service}_PORT_80_TCP_PORT": "80",
            f"{service}_PORT_80_TCP_ADDR": "10.0.0.7",
        },
    )

    assert load_settings().port == 8080


def test_a_port_that_was_set_counts_beside_a_service_with_our_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the address of the Service is taken for what it is."""
    set_all(monkeypatch, {"WATCHWORD_SERVICE_HOST": "10.0.0.7", "WATCHWORD_PORT": "9090"})

    assert load_settings().port == 9090


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("WATCHWORD_TOKEN_TTLL", "did you mean WATCHWORD_TOKEN_TTL?"),
        ("watchword_isuer", "did you mean WATCHWORD_ISSUER?"),
        ("WATCHWORD_QQQ", "see the settings reference"),
        ("WATCHWORD_SERVICE_PORT", "unknown setting"),
        ("WATCHWORD_API_PORT", "unknown setting"),
    ],
)
def test_a_mistyped_variable_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    """A setting that is ignored silently is one that does not protect."""
    monkeypatch.setenv(name, "x-secret-x")

    with pytest.raises(SettingsError) as caught:
        load_settings()
    (line,) = caught.value.lines
    assert line.startswith(f"{name}: unknown setting")
    assert words in line
    assert "x-secret-x" not in line


def test_an_address_in_the_place_of_a_port_is_refused_where_there_is_no_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then it is a mistake of the operator."""
    monkeypatch.setenv("WATCHWORD_PORT", "tcp://10.0.0.7:80")

    with pytest.raises(SettingsError, match="WATCHWORD_PORT: "):
        load_settings()


def test_an_empty_variable_and_one_of_the_scripts_are_no_mistakes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Empty is unset, as for every setting."""
    set_all(monkeypatch, {"WATCHWORD_OLD_NAME": "", "WATCHWORD_PYTHON": "python3"})

    assert load_settings().port == 8080


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("WATCHWORD_PORT", "many", "must be a whole number"),
        ("WATCHWORD_PORT", "65536", "must be at most 65535"),
        ("WATCHWORD_WORKERS", "0", "must be at least 1"),
        (
            "WATCHWORD_TOKEN_TTL",
            "9x",
            "must be 0 or more: a whole number of seconds, or one with a unit, such as 12h or 90d",
        ),
        ("WATCHWORD_ROTATE_EVERY", "-5", "must be at least 0"),
        ("WATCHWORD_DRAIN_SECONDS", "soon", "must be a number"),
        ("WATCHWORD_DEMO_API", "maybe", "must be 'auto', 'on' or 'off'"),
        ("WATCHWORD_CONSOLE", "maybe", BOOLEAN),
        ("WATCHWORD_DPOP", "maybe", BOOLEAN),
        (
            "WATCHWORD_ISSUER",
            "http://auth.example.com",
            "plain http is for loopback hosts only; use https, or set WATCHWORD_ALLOW_INSECURE_HTTP"
            " inside a private network",
        ),
        (
            "WATCHWORD_KEY_STORE",
            "database",
            "keys in the database are always encrypted: set WATCHWORD_KEY_PASSPHRASE as well",
        ),
        ("WATCHWORD_KEY_STORE", "vault", "must be 'files' or 'database'"),
        (
            "WATCHWORD_TLS_CLIENT_CA",
            "authorities.pem",
            "no certificate of a client can come in: set WATCHWORD_TLS_CERT, or"
            " WATCHWORD_TRUSTED_PROXIES if a proxy takes them",
        ),
        (
            "WATCHWORD_MTLS_URL",
            "https://mtls.example.com",
            "no certificate of a client counts: set WATCHWORD_TLS_CLIENT_CA as well",
        ),
        (
            "WATCHWORD_MTLS_URL",
            "http://mtls.example.com",
            "must use https, since clients show certificates in TLS",
        ),
    ],
)
def test_what_is_wrong_with_a_value_is_worded_as_in_documents(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    """One line: the variable, and what it must be."""
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.lines == [f"{name}: {why}"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("10.0.0.1,proxy", "'proxy' does not appear to be an IPv4 or IPv6 network; write"),
        ("::/0", "with ::/0 every peer could forge its address; name the proxies"),
    ],
)
def test_proxies_that_cannot_be_trusted_are_refused(
    monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    """The setting is named, with the fault and what to write."""
    monkeypatch.setenv("WATCHWORD_TRUSTED_PROXIES", value)

    with pytest.raises(SettingsError) as caught:
        load_settings()
    (line,) = caught.value.lines
    assert line.startswith(f"WATCHWORD_TRUSTED_PROXIES: {words}")


def test_a_duration_may_have_a_unit(tmp_path, monkeypatch):
    """In the environment and in the file; what is none is refused as a number would be."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "watchword.toml").write_text('rotate_every = "90d"\njwks_max_age = 60\n')
    monkeypatch.setenv("WATCHWORD_TOKEN_TTL", "15m")
    settings = load_settings()
    assert (settings.token_ttl, settings.rotate_every, settings.jwks_max_age) == (
        900,
        7_776_000,
        60,
    )
    for wrong in ("2d", "15 m"):
        monkeypatch.setenv("WATCHWORD_TOKEN_TTL", wrong)
        with pytest.raises(SettingsError, match="WATCHWORD_TOKEN_TTL: "):
            load_settings()


@pytest.mark.parametrize("word", ["on", "true", "yes", "1", "off", "false", "no", "0"])
def test_the_words_that_a_boolean_names_are_those_it_takes(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """In any case, and one means what it says."""
    assert word in BOOLEAN
    for each in (word, word.upper()):
        monkeypatch.setenv("WATCHWORD_CONSOLE", each)
        assert load_settings().console == (word in ("on", "true", "yes", "1"))
