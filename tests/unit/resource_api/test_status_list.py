"""Unit tests of `resource_api.status_list`: the claim, the signed list, its bits."""

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from keys.encoding import decode_base64url, encode_base64url
from keys.jwks import JwkSet
from resource_api import InvalidToken, Reason, ResourcePolicy, verify
from resource_api.status_list import (
    DEFAULT_TTL,
    LONGEST_TTL,
    MAX_UNFOLDED_BYTES,
    InvalidStatusList,
    StatusList,
    StatusReference,
    Version,
    check_status,
    parse_status_list,
    read_status,
)
from tests.support.keys import rsa_key
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, TokenForge
from watchword.testing.status_lists import list_token, pack, status

FORGE, OTHER = TokenForge(), TokenForge(rsa_key(1))
ES256 = TokenForge(alg="ES256")
URI = f"{ISSUER}/status-lists/1-0"
POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors/status-list.json").read_text()
)


def unfolded(member: dict[str, Any]) -> StatusList:
    """Sign a list of the draft and read it."""
    signed = list_token(FORGE, URI, status_list={"bits": member["bits"], "lst": member["lst"]})
    return parse_status_list(signed, FORGE.keys, uri=URI, now=NOW)


@pytest.mark.rfc("tsl-4.1-1")
@pytest.mark.parametrize("vector", VECTORS["worked_examples"])
def test_the_worked_examples_of_the_draft(vector: dict[str, Any]) -> None:
    """Bytes, compression and each single status."""
    read, statuses = unfolded(vector), vector["statuses"]
    assert pack(statuses, vector["bits"]).hex() == vector["uncompressed_hex"]
    assert [read.status(idx) for idx in range(len(statuses))] == statuses


@pytest.mark.rfc("tsl-4.1-1", "tsl-8.3-1")
@pytest.mark.parametrize("vector", VECTORS["large_vectors"])
def test_the_large_vectors_of_the_draft(vector: dict[str, Any]) -> None:
    """A million statuses each; beyond them there is none."""
    read, odd = unfolded(vector), vector["nonzero_statuses"]
    assert read.size == vector["uncompressed_bytes"]
    assert {key: read.status(int(key)) for key in odd} == odd
    assert sum(read.status(idx) != 0 for idx in range(vector["entries"])) == len(odd)
    assert read.status(vector["entries"] - 1) is not None
    assert read.status(vector["entries"]) is None


def test_the_claim_and_the_list_of_the_draft() -> None:
    """Its example token points into its example list, which needs no `iss`."""
    example = VECTORS["status_list_token_example"]
    policy = ResourcePolicy(issuer="https://example.com", resource=RESOURCE)
    reference = read_status(VECTORS["referenced_token_claim_example"], policy)
    assert reference == StatusReference("https://example.com/statuslists/1", 0)
    signed = list_token(
        ES256, "", header={**example["header"], "kid": ES256.jwk.kid}, **example["claims"]
    )
    read = parse_status_list(signed, ES256.keys, uri=reference.uri, now=1686920170)
    assert (read.expires_at, read.ttl) == (2291720170, LONGEST_TTL)
    with pytest.raises(InvalidToken) as caught:
        check_status(reference, read)
    assert caught.value.reason is Reason.TOKEN_REVOKED


def test_a_token_without_status_has_none() -> None:
    """It is judged as before."""
    assert read_status(FORGE.good_claims, POLICY) is None
    assert verify(FORGE.token(), FORGE.keys, POLICY, now=NOW).jti == "token-1"


BAD_CLAIMS: list[Any] = [
    None,
    {},
    [],
    "x",
    {"status_list": None},
    {"status_list": []},
    {"status_list": {"idx": 0}},
    {"status_list": {"uri": URI}},
    {"other_mechanism": {}},
    *[status(URI, idx) for idx in (-1, True, False, None, "0", 0.0, 1e3, [0])],
    *[
        status(uri)
        for uri in (
            None,
            1,
            "",
            ISSUER,
            f"{ISSUER}.evil.example/status-lists/1-0",
            f"{ISSUER}@evil.example/status-lists/1-0",
            f"{ISSUER}:8443/status-lists/1-0",
            "https://evil.example/status-lists/1-0",
            f"http://{ISSUER.removeprefix('https://')}/status-lists/1-0",
            f"{ISSUER}/a/../../x",
            f"{ISSUER}/a/%2e%2e/x",
            f"{ISSUER}/a/%2E./x",
            f"{ISSUER}/a%2f..%2fx",
            f"{ISSUER}/a/..%5cx",
            f"{ISSUER}/./x",
            f"{ISSUER}/x#fragment",
            f"{ISSUER}/x y",
            f"{ISSUER}/x\n",
            f"{ISSUER}/\u00e9",
            f"{ISSUER}/%zz",
            f"{ISSUER}/" + "x" * 2048,
        )
    ],
]


@pytest.mark.attack("V39")
@pytest.mark.rfc("tsl-6.2-1", "tsl-P")
@pytest.mark.parametrize("claim", BAD_CLAIMS, ids=range(len(BAD_CLAIMS)))
def test_a_status_claim_is_read_strictly(claim: object) -> None:
    """An index is a JSON integer from 0 on, and a list is below the issuer's address."""
    with pytest.raises(InvalidToken) as caught:
        verify(FORGE.token(status=claim), FORGE.keys, POLICY, now=NOW)
    assert caught.value.reason is Reason.INVALID_STATUS


@pytest.mark.parametrize("prefix", ["https://lists.example/a", "https://lists.example/a/"])
def test_lists_may_be_elsewhere(prefix: str) -> None:
    """Where the policy says so; and then no longer below the issuer."""
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, status_lists=prefix)
    uri = "https://lists.example/a/1?x=1"
    assert read_status({"status": status(uri, 7)}, policy) == StatusReference(uri, 7)
    for wrong in (URI, "https://lists.example/ab", "https://lists.example/a"):
        with pytest.raises(InvalidToken):
            read_status({"status": status(wrong)}, policy)


@pytest.mark.attack("V39", "V40")
@pytest.mark.rfc("tsl-7-1", "tsl-8.3-1")
@pytest.mark.parametrize(
    ("idx", "reason"),
    [
        (0, None),
        (1, Reason.TOKEN_REVOKED),
        (2, Reason.TOKEN_SUSPENDED),
        (3, Reason.INVALID_STATUS),
        (4, Reason.INVALID_STATUS),
        (2**70, Reason.INVALID_STATUS),
    ],
)
def test_only_valid_passes(idx: int, reason: Reason | None) -> None:
    """The four statuses of two bits, and what lies beyond the end."""
    lists = {URI: parse_status_list(token_of([0, 1, 2, 3]), FORGE.keys, uri=URI, now=NOW)}
    token = FORGE.token(status=status(URI, idx))
    if reason is None:
        assert verify(token, FORGE.keys, POLICY, now=NOW, status_lists=lists).jti == "token-1"
        return
    with pytest.raises(InvalidToken) as caught:
        verify(token, FORGE.keys, POLICY, now=NOW, status_lists=lists)
    assert caught.value.reason is reason


def test_expiry_comes_before_a_status() -> None:
    """A token that expired is expired, whatever its list says."""
    with pytest.raises(InvalidToken) as caught:
        verify(FORGE.token(status=status(URI)), FORGE.keys, POLICY, now=NOW + 400)
    assert caught.value.reason is Reason.EXPIRED


def test_without_its_list_a_token_is_not_checked() -> None:
    """And so refused."""
    with pytest.raises(InvalidToken) as caught:
        verify(FORGE.token(status=status(URI)), FORGE.keys, POLICY, now=NOW)
    assert caught.value.reason is Reason.UNCHECKED_STATUS


def token_of(statuses: list[int]) -> bytes:
    """Sign a list of two bits."""
    return list_token(FORGE, URI, pack(statuses, 2))


def raw_list(lst: object, bits: object = 2) -> bytes:
    """Sign a list whose member is written as it is."""
    return list_token(FORGE, URI, status_list={"bits": bits, "lst": lst})


def packed(data: bytes) -> str:
    """Write bytes as a member `lst`."""
    return encode_base64url(data)


GOOD = zlib.compress(bytes(8))
RAW = zlib.compressobj(9, zlib.DEFLATED, -15)
GZIP = zlib.compressobj(9, zlib.DEFLATED, 31)
BAD_LISTS: dict[str, bytes] = {
    "empty": b"",
    "html": b"<html></html>",
    "two segments": b"e30.e30",
    "wrong typ": list_token(FORGE, URI, header={"typ": "at+jwt"}),
    "no typ": list_token(FORGE, URI, header={"typ": DROP}),
    "no kid": list_token(FORGE, URI, header={"kid": DROP}),
    "unknown kid": list_token(OTHER, URI),
    "foreign key": list_token(OTHER, URI, header={"kid": FORGE.jwk.kid}),
    "alg none": list_token(FORGE, URI, header={"alg": "none"}),
    "jku": list_token(FORGE, URI, header={"jku": URI}),
    "crit": list_token(FORGE, URI, header={"crit": ["exp"]}),
    "too long": list_token(FORGE, URI, x="x" * 2**21),
    "another sub": list_token(FORGE, URI + "0"),
    "no sub": list_token(FORGE, URI, sub=DROP),
    "no iat": list_token(FORGE, URI, iat=DROP),
    "iat as text": list_token(FORGE, URI, iat=str(NOW)),
    "from the future": list_token(FORGE, URI, iat=NOW + 61),
    "expired": list_token(FORGE, URI, exp=NOW),
    "exp as text": list_token(FORGE, URI, exp="1"),
    "exp null": list_token(FORGE, URI, exp=None),
    "ttl negative": list_token(FORGE, URI, ttl=-1),
    "ttl true": list_token(FORGE, URI, ttl=True),
    "ttl null": list_token(FORGE, URI, ttl=None),
    "no list": list_token(FORGE, URI, status_list=DROP),
    "list of lists": list_token(FORGE, URI, status_list=[]),
    "no lst": list_token(FORGE, URI, status_list={"bits": 1}),
    "no bits": list_token(FORGE, URI, status_list={"lst": packed(GOOD)}),
    **{
        f"bits {bits!r}": raw_list(packed(GOOD), bits)
        for bits in (0, 3, 5, 9, 16, -1, "2", True, 2.0)
    },
    "lst not text": raw_list(1),
    "padded": raw_list(packed(zlib.compress(bytes(10))) + "="),
    "not base64url": raw_list("+/"),
    "raw deflate": raw_list(packed(RAW.compress(bytes(8)) + RAW.flush())),
    "gzip": raw_list(packed(GZIP.compress(bytes(8)) + GZIP.flush())),
    "cut short": raw_list(packed(GOOD[:-1])),
    "trailing": raw_list(packed(GOOD + b"x")),
    "damaged": raw_list(packed(GOOD[:-1] + b"\x00")),
    "bomb": raw_list(packed(zlib.compress(bytes(MAX_UNFOLDED_BYTES + 1), 9))),
    "larger bomb": raw_list(packed(zlib.compress(bytes(2**28), 9))),
}


@pytest.mark.attack("V39")
@pytest.mark.rfc("tsl-5.1-1", "tsl-8.3-1", "tsl-P")
@pytest.mark.parametrize("fault", BAD_LISTS)
def test_any_other_list_is_refused(fault: str) -> None:
    """Each differs from the good one in a single thing."""
    assert parse_status_list(list_token(FORGE, URI), FORGE.keys, uri=URI, now=NOW).status(31) == 0
    with pytest.raises(InvalidStatusList, match=r"^(a|another) list ") as caught:
        parse_status_list(BAD_LISTS[fault], FORGE.keys, uri=URI, now=NOW)
    assert URI not in str(caught.value)


def test_the_largest_list_is_read() -> None:
    """Up to the bound, nothing is refused."""
    signed = raw_list(packed(zlib.compress(bytes(MAX_UNFOLDED_BYTES), 9)), 1)
    read = parse_status_list(signed, FORGE.keys, uri=URI, now=NOW)
    assert read.status(MAX_UNFOLDED_BYTES * 8 - 1) == 0


@pytest.mark.rfc("tsl-13.7-1")
@pytest.mark.parametrize(
    ("stated", "ttl"),
    [(DROP, DEFAULT_TTL), (0, 1), (0.5, 1), (1, 1), (8, 8), (3600, 3600), (43200, LONGEST_TTL)],
)
def test_ttl_is_within_bounds(stated: object, ttl: float) -> None:
    """Too short it would be a flood of fetches, too long a revocation that nobody sees."""
    signed = list_token(FORGE, URI, ttl=stated)
    assert parse_status_list(signed, FORGE.keys, uri=URI, now=NOW).ttl == ttl


def test_a_list_need_not_expire() -> None:
    """`exp` is recommended only; `iat` may lie a minute ahead."""
    signed = list_token(FORGE, URI, exp=DROP, iat=NOW + 60, iss="https://other.example")
    read = parse_status_list(signed, FORGE.keys, uri=URI, now=NOW)
    assert (read.expires_at, read.issued_at) == (float("inf"), NOW + 60)


@pytest.mark.parametrize(
    ("member", "version"),
    [
        ({"feed": "f", "change": 7}, ("f", 7)),
        (DROP, None),
        (7, None),
        ({"feed": "f", "change": True}, None),
        ({"feed": "f", "change": 1.5}, None),
        ({"change": 7}, None),
    ],
)
def test_a_list_may_state_which_changes_it_has(member: object, version: object) -> None:
    """No standard knows the member, so that anything else in its place is ignored."""
    signed = list_token(FORGE, URI, status_list_version=member)
    assert parse_status_list(signed, FORGE.keys, uri=URI, now=NOW).version == version


@pytest.mark.parametrize(
    ("mine", "theirs", "older"),
    [
        ((2, None), (3, None), True),
        ((3, None), (3, None), False),
        ((2, ("f", 8)), (3, None), True),
        ((3, ("f", 7)), (2, None), False),
        ((2, None), (3, ("f", 7)), True),
        ((3, None), (2, ("f", 8)), False),
        ((2, ("f", 8)), (3, ("g", 7)), True),
        ((3, ("f", 7)), (2, ("g", 8)), False),
        ((2, ("f", 8)), (3, ("f", 7)), False),
        ((3, ("f", 7)), (2, ("f", 8)), True),
        ((2, ("f", 7)), (3, ("f", 7)), False),
    ],
)
def test_of_two_lists_the_older_one_is_told(mine: Any, theirs: Any, older: bool) -> None:
    """By the changes that both state of one feed; else by when they were issued."""
    one, other = (
        StatusList(
            b"", 2, issued_at=issued, expires_at=9, ttl=1, version=version and Version(*version)
        )
        for issued, version in (mine, theirs)
    )
    assert one.is_older_than(other) is older


def test_a_list_may_be_signed_with_any_key_of_the_issuer() -> None:
    """The algorithm of lists need not be that of this API's tokens."""
    keys = JwkSet(keys=(FORGE.jwk, ES256.jwk))
    assert parse_status_list(list_token(ES256, URI), keys, uri=URI, now=NOW).size == 8


def test_the_vectors_decode_as_they_say() -> None:
    """The compressed form of the draft is what zlib writes."""
    for vector in VECTORS["worked_examples"]:
        assert decode_base64url(vector["lst"]).hex() == vector["zlib_hex"]
