"""What the values of settings must be, where a type of Python does not say it."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo

from issuer.registry.errors import InvalidValue
from issuer.storage.database_url import parse_database_url
from keys.identifiers import (
    DEFAULT_PORTS,
    InsecureHttp,
    check_issuer,
    check_resource,
    parse_insecure_http,
    split_server_url,
)
from watchword.durations import parse_duration
from watchword.process.addresses import parse_networks
from watchword.setting_sources import PREFIX

Resource = Annotated[str, AfterValidator(check_resource)]


def _issuer(identifier: str, info: ValidationInfo) -> str:
    # What is wrong in itself is not in `data`, and is reported by itself.
    allowed = info.data.get("allow_insecure_http", True)
    return check_issuer(identifier, allow_insecure_http=allowed)


def _insecure_http(value: bool | str) -> InsecureHttp:
    return value if isinstance(value, bool) else parse_insecure_http(value)


def _mtls_url(url: str) -> str:
    if urlsplit(url).scheme != "https":
        raise ValueError("must use https, since clients show certificates in TLS")
    return check_issuer(url).removesuffix("/")


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
    from issuer.registry.auth_methods import check_jwks_uri  # imports cryptography, which is slow

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


def _replay_store(store: str | SecretStr) -> str | SecretStr:
    if isinstance(store, SecretStr):
        from keys.redis_replay import parse_redis_url

        try:
            parse_redis_url(store.get_secret_value())
        except ValueError as error:
            raise ValueError(f"must be database, or a URL that {error}") from None
    return store


# What a setting means stands here with its type, where the type has a rule of its own.
Issuer = Annotated[
    str,
    AfterValidator(_issuer),
    Field(
        description="issuer identifier, exactly as in `iss`; https unless the host is loopback, or"
        " plain http is allowed"
    ),
]
AllowInsecureHttp = Annotated[
    bool | str,
    AfterValidator(_insecure_http),
    Field(
        description="whether the issuer may be on plain http beyond loopback, for development:"
        " `true` for hosts of a private network, or host names with commas between for those too"
    ),
]
"""Written as text or as in TOML; what is kept is a bool, or the names that are allowed too."""
Console = Annotated[
    bool,
    Field(
        description="whether `serve` has the administration console at `/console`: `on` or `off`"
    ),
]
DatabaseUrl = Annotated[
    SecretStr | None,
    AfterValidator(_database_url),
    Field(description="`sqlite:///…` or `postgresql://…`; SQLite in the data folder if unset"),
]
ReplayStore = Annotated[
    Literal["database"] | SecretStr,
    AfterValidator(_replay_store),
    Field(
        description="where all nodes note which assertions and proofs they have seen: `database`,"
        " that of the registry, or a server of Redis or Valkey: `redis://…`, `rediss://…` (TLS),"
        " `valkey://…` or `valkeys://…`"
    ),
]
KeySigner = Annotated[
    Literal["local", "pkcs11", "aws-kms"],
    AfterValidator(_signer_with_its_settings),
    Field(
        description="what makes new keys and signs with them: `local` (this process), `pkcs11` (a"
        " security module) or `aws-kms`, which boto3's own environment leads to"
    ),
]
Seconds = Annotated[int, BeforeValidator(_seconds)]
"""A duration: a number of seconds, or text such as `12h`."""
SigningAlg = Annotated[
    str,
    AfterValidator(_signing_alg),
    Field(
        description="algorithm that tokens are signed with, where their resource names none, and of"
        " new keys: `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`,"
        " `ES512`, `EdDSA`, `Ed25519`, `ML-DSA-44`, `ML-DSA-65` or `ML-DSA-87`"
    ),
]
DemoApi = Annotated[
    Literal["auto", "on", "off"],
    Field(
        description="whether `serve` has the demo API: `auto` (while the issuer's host is"
        " loopback), `on` or `off`; `serve --only api` has it in any case"
    ),
]
Inspector = Annotated[
    Literal["auto", "on", "off"],
    Field(
        description="whether the issuer has the token inspector at `/inspect`: `auto` (with the"
        " demo API, and with `serve --dev`), `on` or `off`"
    ),
]
Profile = Annotated[
    Literal["fapi2"] | None,
    Field(
        description="`fapi2` takes only what the FAPI 2.0 Security Profile allows of clients that"
        " get tokens for themselves, whatever is registered; then `PS256` is the default of"
        " WATCHWORD_SIGNING_ALG"
    ),
]
TokenOrigins = Annotated[
    Annotated[str, AfterValidator(_origins)] | None,
    Field(
        description="origins, with commas between, whose web pages may ask for tokens with the"
        " credentials of a client, or `*` for all; none if unset"
    ),
]
TrustedProxies = Annotated[
    Annotated[str, AfterValidator(_networks)] | None,
    Field(
        description="addresses and networks of proxies, with commas between, whose `Forwarded` or"
        " `X-Forwarded-*` say where a request came from, and whose `Client-Cert` says with which"
        " certificate, if WATCHWORD_TLS_CLIENT_CA is set"
    ),
]
JwksUriHosts = Annotated[
    Annotated[str, AfterValidator(_host_names)] | None,
    Field(
        description="hosts, with commas between, that a registered `jwks_uri` may name though their"
        " addresses are private"
    ),
]
ClientCa = Annotated[
    Path | None,
    Field(
        description="PEM file of the authorities that clients' certificates are from: `serve` asks"
        " for such certificates, or takes them from trusted proxies in `Client-Cert` (RFC 9440);"
        " `none` takes certificates without trusting any authority; unset, none counts"
    ),
]
ClientCerts = Annotated[
    Path | None,
    Field(
        description="PEM file of self-signed certificates that clients show to a server which"
        " speaks TLS itself; they only pass the handshake and name nobody else"
    ),
]
MtlsUrl = Annotated[
    Annotated[str, AfterValidator(_mtls_url)] | None,
    Field(
        description="URL before `/token` where clients with certificates are served, if it is not"
        " the issuer's: the metadata name it in `mtls_endpoint_aliases`"
    ),
]
