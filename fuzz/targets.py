"""All targets by name, in the order in which they are fuzzed."""

from fuzz import http, jose, registry
from fuzz.target import Target

TARGETS: dict[str, Target] = {**jose.TARGETS, **http.TARGETS, **registry.TARGETS}
