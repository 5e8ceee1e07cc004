"""What the values of settings must be, where a type of Python does not say it."""

from contextlib import suppress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo

from issuer.registry.errors import InvalidValue
from issuer.storage.database_url import parse_database_url
from keys.identifiers import (
    InsecureHttp,
    check_issuer,
    check_resource,
    parse_insecure_http,
    split_server_url,
)
from watchword.durations import parse_duration
from watchword.process.addresses import parse_networks
from watchword.setting_sources import PREFIX

DEFAULT_PORTS = {"http": 80, "https": 443}

Resource = Annotated[str, AfterValidator(check_resource)]


def _issuer(identifier: str, info: ValidationInfo) -> str:
    # What is wrong in itself is not in `data`, and is reported by itself.
    allowed = info.data.get("allow_insecure_http", True)
    return check_issuer(identifier, allow_insecure_http=allowed)


def _insecure_http(value: bool | str) -> InsecureHttp:
    return value if isinstance(value, bool) else parse_insecure_http(value)


def _not_built(value: str | None) -> None:
    if value is not None:
        raise ValueError("is not available in this version; remove it")


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    with suppress(ValueError):
        float(value)
        return value  # whether this number is allowed, the field says
    return parse_duration(value, least=0)


def _signing_alg(name: str) -> str:
    from issuer.registry.resource import check_signing_alg  # imports cryptography, which is slow

    return check_signing_alg(name)


def _signer_with_its_settings(signer: str, info: ValidationInfo) -> str:
    needed = ("pkcs11_module", "pkcs11_token", "pkcs11_pin") if signer == "pkcs11" else ()
    # What is wrong in itself is not in `data`, and is reported by itself.
    missing = [PREFIX + name.upper() for name in needed if info.data.get(name, "") is None]
    if missing:
        raise ValueError(f"{signer} needs {' and '.join(missing)} as well; set them")
    return signer


def _host_names(text: str) -> str:
    from issuer.registry.credentials import check_jwks_uri  # imports cryptography, which is slow

    for host in split_names(text.lower()):
        url = f"https://{host}/"
        try:
            check_jwks_uri(url)
        except InvalidValue:
            url = ""
        if urlsplit(url).hostname != host:
            raise ValueError(
                "must be full host names with commas between, such as keys.corp.example.com"
            )
    return text


def _origins(text: str) -> str:
    from issuer.endpoints.cross_origin import ANY_ORIGIN

    names = split_names(text)
    if ANY_ORIGIN in names and len(names) > 1:
        raise ValueError(f"{ANY_ORIGIN} allows every origin; leave the others out")
    for name in names if names != (ANY_ORIGIN,) else ():
        _check_origin(name)
    return text


def _check_origin(name: str) -> None:
    """Take an origin only as browsers write it (RFC 6454 §6.2): it is compared byte for byte."""
    try:
        url = split_server_url(name)
    except ValueError as error:
        raise ValueError(f"an origin {error}") from None
    host = f"[{url.host}]" if ":" in url.host else url.host
    port = "" if url.port in (None, DEFAULT_PORTS[url.scheme]) else f":{url.port}"
    if name != (origin := f"{url.scheme}://{host}{port}"):
        raise ValueError(f"must be origins as browsers write them, such as {origin}")


def _networks(text: str) -> str:
    parse_networks(text)
    return text


def split_names(text: str) -> tuple[str, ...]:
    """Split a setting that lists names with commas between."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _database_url(url: SecretStr | None) -> SecretStr | None:
    if url is not None:
        try:
            parse_database_url(url.get_secret_value())
        except InvalidValue as error:
            raise ValueError(str(error)) from None
    return url


Issuer = Annotated[str, AfterValidator(_issuer)]
AllowInsecureHttp = Annotated[bool | str, AfterValidator(_insecure_http)]
"""Written as text or as in TOML; what is kept is a bool, or the names that are allowed too."""
DatabaseUrl = Annotated[SecretStr | None, AfterValidator(_database_url)]
KeySigner = Annotated[
    Literal["local", "pkcs11", "aws-kms"], AfterValidator(_signer_with_its_settings)
]
Seconds = Annotated[int, BeforeValidator(_seconds)]
"""A duration: a number of seconds, or text such as `12h`."""
SigningAlg = Annotated[str, AfterValidator(_signing_alg)]
TokenOrigins = Annotated[str, AfterValidator(_origins)]
TrustedProxies = Annotated[str, AfterValidator(_networks)]
JwksUriHosts = Annotated[str, AfterValidator(_host_names)]
Unavailable = Annotated[
    str | None, AfterValidator(_not_built), Field(description="not available yet")
]
