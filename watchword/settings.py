"""Read the settings: flag > environment > `.env` > `watchword.toml` > default.

Only here, in `setting_sources` and in `setting_mistakes` is the environment read. All mistakes come
in one message, and nothing travels on from here but frozen values.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from issuer.config import MAX_TOKEN_TTL, IssuerConfig
from issuer.storage.database_url import DatabasePlace, SqliteFile, parse_database_url
from keys.identifiers import is_loopback
from watchword.claim_hooks import ClaimHooks, loading_hooks
from watchword.process.addresses import Networks, parse_networks
from watchword.setting_mistakes import explain, label, unknown_variables
from watchword.setting_sources import (
    PREFIX,
    SECRETS,
    Environment,
    PlainClientCredentials,
    read_secret_files,
)
from watchword.setting_values import (
    AllowInsecureHttp,
    ClientCa,
    ClientCerts,
    Console,
    DatabaseUrl,
    DemoApi,
    Inspector,
    Issuer,
    JwksUriHosts,
    KeySigner,
    MtlsUrl,
    Profile,
    ReplayStore,
    Resource,
    Seconds,
    SigningAlg,
    TokenOrigins,
    TrustedProxies,
    split_names,
)

SETTINGS_FILE = Path("watchword.toml")


class SettingsError(Exception):
    """Settings that cannot be: one line for each mistake, without the value of a secret."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled without `__init__`, whose parameters differ by class."""
        return Exception.__new__, (type(self), *self.args), vars(self)


class Settings(BaseSettings):
    """Every setting of the provider and its command line, checked."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        dotenv_filtering="match_prefix",
        toml_file=SETTINGS_FILE,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    allow_insecure_http: AllowInsecureHttp = False
    issuer: Issuer = "http://localhost:8080"
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="port that serves `/metrics` in place of the provider's; 0 takes a free one",
    )
    workers: int = Field(1, ge=1, le=64, description="worker processes")
    data_dir: Path = Field(
        Path("watchword-data"), description="keys and the SQLite database; made with mode 0700"
    )
    database_url: DatabaseUrl = None
    replay_store: ReplayStore = "database"
    key_store: Literal["files", "database"] = Field(
        "files",
        description="where signing keys are kept: `files`, in the data folder, or `database`, that"
        " of the registry, for several nodes; there they are encrypted with the passphrase",
    )
    key_passphrase: SecretStr | None = Field(
        None, description="private keys are encrypted at rest with it"
    )
    client_secret_jwt: bool = Field(
        False,
        description="whether clients may sign assertions with a secret; `on` keeps those secrets"
        " sealed with the passphrase, so that they can be recovered",
    )
    pkcs11_module: str | None = Field(
        None, description="path of the PKCS#11 library of a security module"
    )
    pkcs11_token: str | None = Field(None, description="label of the token in it")
    pkcs11_pin: SecretStr | None = Field(None, description="PIN of the token's user")
    key_signer: KeySigner = "local"
    token_ttl: Seconds = Field(
        3600,
        ge=1,
        le=MAX_TOKEN_TTL,
        description="seconds, where neither client nor resource says otherwise",
    )
    max_token_ttl: Seconds = Field(
        MAX_TOKEN_TTL,
        ge=1,
        le=MAX_TOKEN_TTL,
        description="seconds, the longest life of any token: longer ones of clients and resources"
        " are cut to it, and keys stay published for it after they signed last",
    )
    jwks_max_age: Seconds = Field(
        300,
        ge=1,
        le=86_400,
        description="seconds that the JWK set may be cached; the rollover rule follows from it",
    )
    profile: Profile = None
    signing_alg: SigningAlg = "RS256"
    rotate_every: Seconds = Field(
        0,
        ge=0,
        le=2**31,
        description="seconds that a key signs before its successor does; `0` leaves rotation to"
        " `keys rotate`",
    )
    signing_threads: int = Field(
        0,
        ge=0,
        le=64,
        description="threads of a worker that sign with RSA keys beside its event loop; for fewer"
        " workers than cores",
    )
    demo_api: DemoApi = "auto"
    inspector: Inspector = "auto"
    api_resource: Resource | None = Field(
        None, description="audience that the demo API insists on; the issuer if unset"
    )
    log_format: Literal["console", "json"] | None = Field(
        None, description="`console` on a terminal, else `json`"
    )
    request_log: bool = Field(
        False, description="whether `serve` logs each request, as `request.answered`"
    )
    client_id: str | None = Field(
        None, description="for `scenario` and `token get`; plain `CLIENT_ID` is understood too"
    )
    client_secret: SecretStr | None = Field(
        None, description="for `scenario` and `token get`; plain `CLIENT_SECRET` is understood too"
    )
    client_key: Path | None = Field(
        None,
        description="PEM file of the key that the client authenticates with in `scenario` and "
        "`token get`, in place of a secret; beside `client_cert`, the key of that certificate",
    )
    client_assertion_file: Path | None = Field(
        None,
        description="file with a token of the platform, such as Kubernetes, that `token get` shows "
        "in place of a secret",
    )
    client_cert: Path | None = Field(
        None, description="PEM file of the certificate that `token get` shows in TLS"
    )
    dpop: bool = Field(
        False, description="whether `token get` asks for a token that is bound to a key (RFC 9449)"
    )
    api: str | None = Field(
        None, description="base URL of the API for `scenario`; the issuer if unset"
    )
    view_size: int = Field(
        10_000,
        ge=1,
        description="clients that a worker keeps in memory; least recently used go first",
    )
    registry_outage_seconds: Seconds = Field(
        3600,
        ge=0,
        description="seconds that known clients keep getting tokens while the registry is away",
    )
    secret_notice_seconds: Seconds = Field(
        604_800, ge=0, description="seconds before its end that a secret is logged as expiring"
    )
    admin_resource: Resource | None = Field(
        None,
        description="audience of the administration API; the issuer with `/admin/api/v1` if unset",
    )
    jwks_uri_hosts: JwksUriHosts = None
    claim_hooks: ClaimHooks | None = Field(
        None,
        description="functions that add claims to tokens, `package.module:attribute`, with commas"
        " between",
    )
    authorization_endpoint: bool = Field(
        False,
        description="whether the metadata name an authorization endpoint, which refuses every"
        " request: for clients that demand one, such as the SDKs of MCP",
    )
    token_cors_origins: TokenOrigins = None
    console: Console = False
    drain_seconds: float = Field(
        0.5,
        ge=0,
        le=300,
        description="seconds between `/readyz` turning 503 and the listener closing",
    )
    tls_cert: Path | None = Field(
        None, description="PEM file of a certificate with its chain: `serve` speaks TLS with it"
    )
    tls_key: Path | None = Field(None, description="PEM file of its private key, not encrypted")
    trusted_proxies: TrustedProxies = None
    tls_client_ca: ClientCa = None
    tls_client_certs: ClientCerts = None
    mtls_url: MtlsUrl = None
    status_list_ttl: Seconds = Field(
        15,
        ge=1,
        le=3600,
        description="seconds until the last validator knows that a token was revoked or a key"
        " withdrawn: how often validators look, and shared caches between them and the issuer",
    )
    failed_auth_limit: int = Field(
        60,
        ge=0,
        le=2**31,
        description="failed authentications of a client a minute, by the address they come from,"
        " before it is told to wait; `0` switches the limit off",
    )
    token_quota: int = Field(
        0, ge=0, le=2**31, description="tokens that a client may get a minute; `0` for all"
    )
    token_quota_mode: Literal["refuse", "log"] = Field(
        "refuse",
        description="what becomes of a token beyond the quota: `refuse`, or `log`, which issues it",
    )
    dpop_nonce: Literal["off", "required"] = Field(
        "off",
        description="`required`: DPoP proofs at `/token` have to carry a nonce that the issuer gave"
        " within minutes, so that none can be made ahead; one more round trip for most tokens",
    )

    @classmethod
    def settings_customise_sources(  # noqa: D102 - the base class documents it
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        environment = Environment(settings_cls)
        plain = PlainClientCredentials(settings_cls)
        file = TomlConfigSettingsSource(settings_cls)
        return init_settings, environment, plain, dotenv_settings, file

    @model_validator(mode="before")
    @classmethod
    def _sign_as_profile_says(cls, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("profile") == "fapi2":
            given.setdefault("signing_alg", "PS256")
        return given

    @property
    def has_demo_api(self) -> bool:
        """Whether the demo API is served beside the issuer."""
        if self.demo_api == "auto":
            return is_loopback(urlsplit(self.issuer).hostname)
        return self.demo_api == "on"

    @property
    def default_resource(self) -> str:
        """The resource identifier of the demo API, and of clients created without one."""
        return self.api_resource or self.issuer

    @property
    def administration(self) -> str:
        """The resource identifier of the administration API."""
        return self.admin_resource or self.issuer.removesuffix("/") + "/admin/api/v1"

    @property
    def api_url(self) -> str:
        """Where the scenario finds the API."""
        return self.api or self.issuer

    @property
    def database(self) -> DatabasePlace:
        """Where the client registry is kept."""
        if self.database_url is not None:
            return parse_database_url(self.database_url.get_secret_value())
        return SqliteFile(self.data_dir / "registry.db")

    @property
    def replay_store_url(self) -> str | None:
        """The URL of the Redis or Valkey that claims are kept in; None if the database has them."""
        store = self.replay_store
        return None if isinstance(store, str) else store.get_secret_value()

    @property
    def private_jwks_hosts(self) -> tuple[str, ...]:
        """The hosts that a registered `jwks_uri` may name whatever their addresses."""
        return split_names((self.jwks_uri_hosts or "").lower())

    @property
    def client_ca_file(self) -> Path | None:
        """The file of the authorities of clients' certificates, if there are any."""
        return None if self.tls_client_ca == Path("none") else self.tls_client_ca

    @property
    def proxy_networks(self) -> Networks:
        """The networks of the trusted proxies."""
        return parse_networks(self.trusted_proxies or "")

    @property
    def issuer_config(self) -> IssuerConfig:
        """What the issuer is configured with."""
        return IssuerConfig(
            issuer=self.issuer,
            allow_insecure_http=self.allow_insecure_http,
            token_ttl=self.token_ttl,
            max_token_ttl=self.max_token_ttl,
            document_max_age=self.jwks_max_age,
            withdrawal_seconds=self.status_list_ttl,
            outage_seconds=self.registry_outage_seconds,
            authorization_endpoint=self.authorization_endpoint,
            token_origins=split_names(self.token_cors_origins or ""),
            client_certificates=self.tls_client_ca is not None,
            mtls_base=self.mtls_url,
        )

    @property
    def keys_folder(self) -> Path:
        """The folder of the signing keys."""
        return self.data_dir / "keys"

    @property
    def pkcs11(self) -> tuple[str, str, str]:
        """Library, token and PIN of the security module, which `key_signer` says there is."""
        pin = self.pkcs11_pin or SecretStr("")
        return self.pkcs11_module or "", self.pkcs11_token or "", pin.get_secret_value()

    @property
    def passphrase(self) -> bytes | None:
        """The key passphrase as bytes, if there is one."""
        return (
            None if self.key_passphrase is None else self.key_passphrase.get_secret_value().encode()
        )


def load_settings(*, with_hooks: bool = False, **flags: object) -> Settings:
    """Read and check all settings; a flag that is None was not given.

    Args:
        with_hooks: import the claim hooks, whose faults are mistakes in the settings.
        flags: settings by their names.

    Raises:
        SettingsError: with one line for every mistake found.
    """
    given: Mapping[str, Any] = {name: value for name, value in flags.items() if value is not None}
    names = Settings.model_fields
    secrets, mistakes = read_secret_files()
    settings = None
    try:
        with loading_hooks(with_hooks):
            settings = Settings(**{**secrets, **given})
    except ValidationError as error:
        mistakes += [line for detail in error.errors() for line in explain(detail, given, names)]
    except tomllib.TOMLDecodeError as error:
        mistakes.append(f"{SETTINGS_FILE}: not valid TOML: {error}")
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{SETTINGS_FILE} or .env cannot be read: {error}")
    if settings is not None and not mistakes:
        from watchword.contradictions import find_contradictions

        mistakes += [f"{label(name, given)}: {why}" for name, why in find_contradictions(settings)]
    mistakes += unknown_variables([*names, *(f"{name}_file" for name in SECRETS)])
    if settings is None or mistakes:
        raise SettingsError(mistakes)
    return settings
