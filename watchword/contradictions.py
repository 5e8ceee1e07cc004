"""Settings that are allowed one by one and do not go with each other, or with a client."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from watchword.settings import Settings


def find_contradictions(settings: "Settings") -> Iterator[tuple[str, str]]:
    """Yield the setting that has to change and why, with the arithmetic, for each contradiction."""
    if settings.token_ttl > settings.max_token_ttl:
        yield (
            "token_ttl",
            f"{settings.token_ttl} is longer than the longest life of any token,"
            f" {settings.max_token_ttl} (WATCHWORD_MAX_TOKEN_TTL)",
        )
    if settings.key_store == "database" and settings.key_passphrase is None:
        yield (
            "key_store",
            "keys in the database are always encrypted: set WATCHWORD_KEY_PASSPHRASE as well",
        )
    if settings.client_secret_jwt and settings.key_passphrase is None:
        yield (
            "client_secret_jwt",
            "secrets that can be recovered are always sealed: set WATCHWORD_KEY_PASSPHRASE as well",
        )
    if "token_quota_mode" in settings.model_fields_set and not settings.token_quota:
        yield (
            "token_quota_mode",
            f"there is no quota to {settings.token_quota_mode} by: set WATCHWORD_TOKEN_QUOTA as"
            " well, or leave the mode out",
        )
    if (settings.tls_cert is None) is not (settings.tls_key is None):
        missing = "tls_cert" if settings.tls_cert is None else "tls_key"
        yield missing, "TLS takes a certificate and its key; set this one as well"
    if settings.tls_cert is not None and urlsplit(settings.issuer).scheme == "http":
        yield (
            "issuer",
            f"{settings.issuer} is on plain http, but with WATCHWORD_TLS_CERT this server speaks"
            " TLS alone; use https",
        )
    yield from _of_client_certificates(settings)
    if settings.profile is not None:
        yield from _of_profile(settings)
    if settings.metrics_port and settings.metrics_port == settings.port:
        yield (
            "metrics_port",
            f"{settings.metrics_port} is the port of the provider itself (WATCHWORD_PORT), which"
            " serves /metrics without this setting; leave it out, or name another port",
        )
    if settings.rotate_every:
        from keys.ring import explain_too_fast  # imports cryptography, which is slow
        from watchword.provider.key_ring import ring_policy

        why = explain_too_fast(ring_policy(settings), settings.signing_alg)
        if why is not None:
            yield "rotate_every", why


def find_missing_setting(method: str, settings: "Settings") -> str | None:
    """Return the setting without which a method of client authentication is switched off.

    None if it is on. `watchword.provider.authentication` switches them.
    """
    needed = {
        "client_secret_jwt": ("client_secret_jwt", settings.client_secret_jwt),
        "tls_client_auth": ("tls_client_ca", settings.client_ca_file is not None),
        "self_signed_tls_client_auth": ("tls_client_ca", settings.tls_client_ca is not None),
    }
    name, is_on = needed.get(method, ("", True))
    return None if is_on else f"WATCHWORD_{name.upper()}"


def _of_profile(settings: "Settings") -> Iterator[tuple[str, str]]:
    from issuer.profile import PROFILES  # imports cryptography, which is slow

    allowed = PROFILES[settings.profile].token_algorithms
    if settings.signing_alg not in allowed:
        yield (
            "signing_alg",
            f"{settings.signing_alg} is not allowed by WATCHWORD_PROFILE={settings.profile}; use"
            f" {', '.join(allowed)}, or leave this one out, for PS256",
        )
    if urlsplit(settings.issuer).scheme != "https":
        yield (
            "issuer",
            f"{settings.issuer} is on plain http, which WATCHWORD_PROFILE={settings.profile} does"
            " not allow; use https",
        )


def _of_client_certificates(settings: "Settings") -> Iterator[tuple[str, str]]:
    if settings.tls_client_certs is not None and None in (
        settings.tls_client_ca,
        settings.tls_cert,
    ):
        yield (
            "tls_client_certs",
            "goes with TLS in this server and with certificates that count: set WATCHWORD_TLS_CERT,"
            " and WATCHWORD_TLS_CLIENT_CA, to `none` if no authority names clients",
        )
    if settings.tls_client_ca is None:
        if settings.mtls_url is not None:
            yield (
                "mtls_url",
                "no certificate of a client counts: set WATCHWORD_TLS_CLIENT_CA as well",
            )
        return
    if settings.tls_cert is not None and not (settings.client_ca_file or settings.tls_client_certs):
        yield (
            "tls_client_ca",
            "a server that speaks TLS itself (WATCHWORD_TLS_CERT) takes only certificates that it"
            " can verify; name a file of authorities, or of certificates by"
            " WATCHWORD_TLS_CLIENT_CERTS",
        )
    if settings.tls_cert is None and not settings.trusted_proxies:
        yield (
            "tls_client_ca",
            "no certificate of a client can come in: set WATCHWORD_TLS_CERT, or"
            " WATCHWORD_TRUSTED_PROXIES if a proxy takes them",
        )
