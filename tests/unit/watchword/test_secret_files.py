"""Secrets of the settings that are in files, as systemd and containers pass them."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from watchword.setting_sources import PREFIX, SECRETS
from watchword.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def folder_without_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand where there is neither `.env` nor `watchword.toml`."""
    monkeypatch.chdir(tmp_path)


def mistakes() -> list[str]:
    """Load settings that must be refused; return what is said of them."""
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return caught.value.lines


def test_every_secret_setting_may_be_in_a_file() -> None:
    """A secret that is added to the settings is not forgotten here."""
    secret = {name for name, field in Settings.model_fields.items() if _is_secret(field.annotation)}
    assert secret == set(SECRETS)


def _is_secret(annotation: object) -> bool:
    return SecretStr.__name__ in str(annotation)


@pytest.mark.parametrize(
    "variable", ["WATCHWORD_KEY_PASSPHRASE_FILE", "watchword_key_passphrase_file"]
)
def test_a_secret_is_read_from_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """Without the line end that editors leave; the file beats `.env`, as the environment does."""
    (tmp_path / "passphrase").write_text("correct horse\n")
    (tmp_path / ".env").write_text("WATCHWORD_KEY_PASSPHRASE=another\n")
    monkeypatch.setenv(variable, str(tmp_path / "passphrase"))

    assert load_settings().passphrase == b"correct horse"


def test_a_secret_in_a_file_is_checked_as_any(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message names the setting, and shows nothing of the secret."""
    (tmp_path / "url").write_text("mysql://watchword:hunter2@db/watchword")
    monkeypatch.setenv("WATCHWORD_DATABASE_URL_FILE", str(tmp_path / "url"))

    (line,) = mistakes()
    assert line.startswith("WATCHWORD_DATABASE_URL: ")
    assert "hunter2" not in line


def test_a_secret_and_its_file_contradict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Which of them counts is not guessed."""
    (tmp_path / "pin").write_text("1234")
    monkeypatch.setenv("WATCHWORD_PKCS11_PIN", "4321")
    monkeypatch.setenv("WATCHWORD_PKCS11_PIN_FILE", str(tmp_path / "pin"))

    variable = f"{PREFIX}PKCS11_PIN"
    assert mistakes() == [f"{variable}_FILE: {variable} is set as well; remove one of them"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: no such file or directory"),
        (b" \n", "must hold one line of UTF-8 text"),
        (b"\xff", "must hold one line of UTF-8 text"),
        (b"one\ntwo\n", "must hold one line of UTF-8 text"),
        (b"x" * 5000, "of at most 4096 bytes"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, why: str
) -> None:
    """One line, the same remedy: nothing else is said of what needs the secret."""
    path = tmp_path / "passphrase"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE_FILE", str(path))
    monkeypatch.setenv("WATCHWORD_KEY_STORE", "database")

    (line,) = mistakes()
    assert line.startswith(f"WATCHWORD_KEY_PASSPHRASE_FILE: {path} ")
    assert why in line


def test_a_mistyped_file_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the one that was meant."""
    monkeypatch.setenv("WATCHWORD_KEY_PASPHRASE_FILE", "x")

    assert mistakes() == [
        "WATCHWORD_KEY_PASPHRASE_FILE: unknown setting; did you mean WATCHWORD_KEY_PASSPHRASE_FILE?"
    ]
