"""What can be wrong with an installation, and what mends it."""

import stat

import pytest

from issuer.profile import FAPI2
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import ClientRegistration
from keys.ring import KeyState, RingEntry, RingKey, RingPolicy
from tests.support.assertions import jwk_of
from tests.support.registry import orders
from watchword import doctor
from watchword.doctor import Finding, Folder

FOLDER, FILE = stat.S_IFDIR, stat.S_IFREG


def successors(now, *, rotate_every, pending=None):
    """Check a key that signs since the second 100 and, if it is named, one that waits."""
    states = [("ES256", KeyState.ACTIVE), *([(pending, KeyState.PENDING)] if pending else [])]
    ring = [
        RingEntry(
            key=RingKey(kid=alg, alg=alg, published_at=0, signs_from=100),
            state=state,
            superseded_at=None,
            gone_at=None,
        )
        for alg, state in states
    ]
    policy = RingPolicy(jwks_max_age=300, rotate_every=rotate_every)
    return doctor.check_successors(ring, now, policy)


@pytest.mark.parametrize(
    ("mode", "owner", "remedies"),
    [
        (FOLDER | 0o700, 7, []),
        (FILE | 0o600, 7, []),
        (FOLDER | 0o750, 7, ["chmod 0700 /data"]),
        (FILE | 0o644, 7, ["chmod 0600 /data"]),
        (FILE | 0o600, 0, ["chown shop /data"]),
        (FILE | 0o604, 0, ["chmod 0600 /data", "chown shop /data"]),
    ],
)
def test_what_others_can_read_or_own_is_found(mode, owner, remedies):
    """Each with the command that mends it."""
    found = list(doctor.check_folder(Folder("/data", mode, owner), user=7, user_name="shop"))
    assert [each.remedy for each in found] == remedies
    assert all("/data" in each.found for each in found)


@pytest.mark.parametrize(
    ("found", "check"),
    [
        (doctor.check_space(doctor.LEAST_FREE, "/data"), None),
        (doctor.check_space(doctor.LEAST_FREE - 1, "/data"), "disk"),
        (doctor.check_clock(105, 100), None),
        (doctor.check_clock(106, 100), "clock"),
        (doctor.check_clock(94, 100), "clock"),
        (doctor.check_schema("0009", "0009"), None),
        (doctor.check_method("till", "private_key_jwt", None), None),
        (doctor.check_method("till", "tls_client_auth", "WATCHWORD_TLS_CLIENT_CA"), "clients"),
        (doctor.check_schema("0008", "0009"), "schema"),
        (doctor.check_schema(None, "0009"), "schema"),
        (doctor.check_keys([KeyState.PENDING, KeyState.ACTIVE]), None),
        (doctor.check_keys([KeyState.PENDING]), "keys"),
        (doctor.check_keys([]), "keys"),
        (doctor.check_published(["a", "b"], ["b", "a"]), None),
        (doctor.check_published(["a"], []), "issuer"),
        (doctor.check_published([], ["a"]), "issuer"),
        (successors(100, rotate_every=0), None),
        (successors(100, rotate_every=10_000), None),
        (successors(9_741, rotate_every=10_000), "keys"),
        (successors(9_739, rotate_every=10_000), None),
        (successors(20_000, rotate_every=10_000, pending="ES256"), None),
        (successors(20_000, rotate_every=10_000, pending="RS256"), "keys"),
    ],
)
def test_a_fact_is_a_finding_or_none(found, check):
    """Just beyond the bound it is."""
    findings = list(found)
    assert [each.check for each in findings] == ([] if check is None else [check])
    assert all(each.found and each.remedy for each in findings)


def test_keys_on_one_side_alone_are_two_findings():
    """Another installation answers: its keys are strange, and ours are missing."""
    missing, strange = doctor.check_published(["ours"], ["theirs"])
    assert isinstance(missing, Finding)
    assert "does not publish ours" in missing.found
    assert "publishes theirs" in strange.found


def test_the_limit_of_the_shell_is_told_and_no_finding():
    """A service has its own."""
    assert doctor.describe_limit(8192, 8192) is None
    assert "960 of 8192 connections" in doctor.describe_limit(960, 8192)


@pytest.mark.rfc("fapi-5.3.2.1-1", "fapi-5.4-1")
def test_what_the_profile_forbids_is_found():
    """Each client and resource that was there before, with each fault that it has."""
    secret = ClientRegistration(client_id="till")
    keyed = {
        "client_id": "till",
        "token_endpoint_auth_method": AuthMethod.PRIVATE_KEY_JWT,
        "jwks": {"keys": [jwk_of("PS256")]},
    }
    old = ClientRegistration(**keyed, token_endpoint_auth_signing_alg="RS256")
    keys = {"keys": [jwk_of("RS256"), jwk_of("ES256")]}
    rsa = ClientRegistration(**(keyed | {"jwks": keys}))
    found = [
        each
        for known in (secret, old, rsa, orders(signing_alg="RS256"))
        for each in doctor.check_profile(FAPI2, "till", known)
    ]
    assert [each.found.rpartition(" ")[2] for each in found] == [
        "client_secret_basic",
        "RS256",
        "RS256",
        "RS256",
    ]
    assert "clients update" in found[0].remedy
    assert "keys for" in found[2].found
    assert "resources update" in found[3].remedy
    for known in (ClientRegistration(**keyed), orders(), orders(signing_alg="ES256")):
        assert not list(doctor.check_profile(FAPI2, "till", known))
