"""Load certificates that clients may show, and load authorities again when their file changes."""

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from issuer.client_auth.certificate import is_authority
from keys.events import EventSink
from watchword.settings import SettingsError
from watchword.watched_files import WatchedFiles


def load_authorities(file: Path) -> list[x509.Certificate]:
    """Read the certificates of authorities in a file.

    Raises:
        SettingsError: it cannot be read, holds none, or holds one that is no authority's.
    """
    loaded = load_certificates("WATCHWORD_TLS_CLIENT_CA", file)
    for each in loaded:
        if not is_authority(each):
            line = (
                f"WATCHWORD_TLS_CLIENT_CA: {file} has the certificate of"
                f" {each.subject.rfc4514_string()!a}, which is no authority (CA:TRUE); put a"
                " client's own into WATCHWORD_TLS_CLIENT_CERTS"
            )
            raise SettingsError([line])
    return loaded


def load_certificates(setting: str, file: Path) -> list[x509.Certificate]:
    """Read the certificates in a file that a setting names.

    Raises:
        SettingsError: it cannot be read, or holds none.
    """
    try:
        if file.is_fifo():  # opening it waits for a writer, and requests wait as well
            raise SettingsError([f"{setting}: {file} cannot be read: is a pipe"])
        return x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        cause = (error.strerror or type(error).__name__).lower()
        raise SettingsError([f"{setting}: {file} cannot be read: {cause}"]) from None
    except ValueError:
        line = f"{setting}: {file} must hold certificates as PEM, one or more"
        raise SettingsError([line]) from None


class ClientAuthorities:
    """The authorities that the issuer trusts to know its clients.

    Args:
        file: their certificates, as PEM; None for no authority.
        events: where new ones are reported.

    Attributes:
        certificates: those that count now.

    Raises:
        SettingsError: see `load_authorities`.
    """

    def __init__(self, file: Path | None, events: EventSink) -> None:
        self._file = file
        self._events = events
        self._watched = WatchedFiles(*filter(None, [file]))
        self.certificates: Sequence[x509.Certificate] = load_authorities(file) if file else ()

    def look(self) -> None:
        """Load the file again once it has changed; one that cannot be loaded changes nothing."""
        if self._file is None or not self._watched.have_changed():
            return
        try:
            self.certificates = load_authorities(self._file)
        except SettingsError as error:
            self._events("client_ca.reload_failed", reason=str(error))
        else:
            self._events("client_ca.reloaded", certificates=len(self.certificates))
