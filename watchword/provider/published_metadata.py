"""The published metadata (RFC 8414) of the issuer, kept true to the registry and the keys."""

import json
from collections.abc import Callable, Collection
from contextlib import suppress

from issuer.config import IssuerConfig
from issuer.endpoints.document import Document
from issuer.metadata import build_metadata
from issuer.profile import SecurityProfile
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.errors import RegistryError
from issuer.storage.registry import Registry


class PublishedMetadata:
    """The document as it is now.

    Args:
        config: of the issuer.
        methods: by which clients authenticate.
        profile: bounds all algorithms.
        signing_alg: what tokens are signed with where their resource names no algorithm.
        registry: read for the scopes, algorithms and types of all resources.
        published_algorithms: returns those that the published keys have.
    """

    def __init__(
        self,
        config: IssuerConfig,
        *,
        methods: Collection[AuthMethod],
        profile: SecurityProfile,
        signing_alg: str,
        registry: Registry,
        published_algorithms: Callable[[], frozenset[str]],
    ) -> None:
        self._config = config
        self._methods = methods
        self._profile = profile
        self._signing_alg = signing_alg
        self._registry = registry
        self._published_algorithms = published_algorithms
        self._version: object = None
        self.resource_algorithms: Collection[str] = ()
        self.document = self._build(algorithms=published_algorithms())
        self.refresh()

    def refresh(self) -> None:
        """Build the document anew if the registry or the keys have changed since."""
        # The job "registry" reports the outage; the old document stays in use.
        with suppress(RegistryError):
            published = self._published_algorithms()
            version = self._registry.version(), published
            if version != self._version:
                self.resource_algorithms = self._registry.list_signing_algs()
                self.document = self._build(
                    scopes=self._registry.list_scopes(),
                    algorithms=published.union(self.resource_algorithms),
                    details_types=self._registry.list_details_types(),
                )
                self._version = version

    def _build(self, **supported: Collection[str]) -> Document:
        document = build_metadata(
            self._config,
            methods=self._methods,
            profile=self._profile,
            signing_alg=self._signing_alg,
            **supported,
        )
        return Document(json.dumps(document).encode(), self._config.document_max_age)
