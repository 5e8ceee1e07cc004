"""Unit tests of `issuer.endpoints.status_list`: what is signed, when anew, and what is refused."""

import asyncio
import json
import zlib

import anyio
import jwt
import pytest

from issuer.config import IssuerConfig
from issuer.endpoints.status_list import RETRY_SECONDS, StatusListEndpoint
from issuer.status.lists import StatusLists
from issuer.status.positions import PART, Status, StatusChange, bucket_end, bucket_for
from keys.encoding import decode_base64url
from keys.errors import SignerUnavailable
from keys.signers.local import LocalSigner
from tests.support.issuer import ISSUER, NOW, call
from tests.support.keys import public_rsa_jwk, rsa_key

BUCKET = bucket_for(NOW, 3600)
PATH = f"/status-lists/{BUCKET}-0"
URI = f"{ISSUER}/status-lists/{BUCKET}-0"


class CountingKey:
    """A ring of one key that counts signatures, and may be away or gone."""

    def __init__(self):
        self.kid = public_rsa_jwk().kid
        self.alg = "RS256"
        self.signed = 0
        self.away = False
        self._signer = LocalSigner(self.kid, self.alg, rsa_key())

    def signer(self, now, alg=None):
        return self

    async def sign(self, signing_input):
        await anyio.lowlevel.checkpoint()
        if self.away:
            raise SignerUnavailable("away")
        self.signed += 1
        return self._signer.sign_now(signing_input)


class Served:
    """The endpoint with all that is behind it."""

    def __init__(self, **config):
        self.config = IssuerConfig(**{"issuer": ISSUER, **config})
        self.lists = StatusLists(longest=self.config.max_token_ttl)
        self.keys = CountingKey()
        self.now = NOW
        self.endpoint = StatusListEndpoint(
            self.lists, self.keys, self.config, clock=lambda: self.now
        )

    def read(self, *changes, feed="feed"):
        """Let the registry tell of changes."""
        self.lists.apply(changes, self.now, counts={BUCKET: 100}, feed=feed)

    async def get(self, path=PATH, *headers, method="GET"):
        return await call(self.endpoint, method, path, list(headers))


@pytest.fixture
def served():
    """Serve lists that were read once, without a change."""
    served = Served()
    served.read()
    return served


def revoke(number, index):
    """Make the change that revokes one token."""
    return StatusChange(number, BUCKET, index, 1, Status.INVALID)


def claims_of(answer, body=None):
    """Verify a list with PyJWT and return its claims."""
    options = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
    text = (answer.body if body is None else body).decode()
    return jwt.decode(text, rsa_key().public_key(), algorithms=["RS256"], options=options)


def entries(claims):
    """Unpack the entries of a list."""
    return zlib.decompress(decode_base64url(claims["status_list"]["lst"]))


@pytest.mark.rfc("tsl-5.1-1", "tsl-8.2-1", "tsl-4.1-1")
async def test_a_list_is_a_signed_jwt_of_its_own_type(served):
    """Its claims are those of §5.1; it names the list that tokens name."""
    served.read(revoke(4, 5))
    answer = await served.get()
    assert answer.status == 200
    assert answer.header("content-type") == "application/statuslist+jwt"
    header = jwt.get_unverified_header(answer.body.decode())
    assert header == {"alg": "RS256", "kid": served.keys.kid, "typ": "statuslist+jwt"}
    claims = claims_of(answer)
    packed = claims.pop("status_list")
    assert claims == {
        "iss": ISSUER,
        "sub": URI,
        "iat": NOW,
        "exp": (NOW // 1200 + 1) * 1200 + 3600,
        "ttl": 8,
        "status_list_version": {"feed": f"{zlib.crc32(b'feed'):08x}", "change": 4},
    }
    assert packed.pop("bits") == 2
    assert packed.pop("aggregation_uri") == f"{ISSUER}/status-lists"
    expected = bytearray(PART // 4)
    expected[1] = 0b0100
    assert zlib.decompress(decode_base64url(packed.pop("lst"))) == expected
    assert not packed


@pytest.mark.rfc("tsl-13.7-1")
@pytest.mark.parametrize("seconds", [1, 2, 15, 3600])
async def test_a_validator_and_a_cache_before_it_are_together_as_old_as_the_setting(seconds):
    """What a cache may keep, and what a validator may after it, add up."""
    served = Served(withdrawal_seconds=seconds)
    served.read()
    answer = await served.get()
    cached = int(answer.header("cache-control").removeprefix("public, max-age="))
    ttl = claims_of(answer)["ttl"]
    assert ttl > 0
    assert ttl + cached == seconds


async def test_a_list_counts_as_long_as_tokens_are_issued_without_the_registry():
    """And five minutes at the least; whenever it is fetched, all of that is left."""
    for outage, life in ((0, 300), (7200, 7200)):
        served = Served(outage_seconds=outage)
        for _ in range(4):
            served.now += life // 5
            served.read()
            claims = claims_of(await served.get())
            assert life <= claims["exp"] - served.now <= life + life // 3


async def test_an_unchanged_list_is_signed_once_a_third_of_its_life(served):
    """Its tag is the same until then, and a peer that has it gets 304 without a body."""
    first = await served.get()
    for _ in range(3):
        served.now += 1
        served.read()
        assert (await served.get()).body == first.body
    known = (b"if-none-match", first.header("etag").encode())
    answer = await served.get(PATH, known)
    assert (answer.status, answer.body, served.keys.signed) == (304, b"", 1)
    assert answer.header("etag") == first.header("etag")
    assert answer.header("cache-control") == first.header("cache-control")
    served.now += 1200
    served.read()
    later = await served.get(PATH, known)
    assert (later.status, served.keys.signed) == (200, 2)
    assert claims_of(later)["iat"] == served.now


async def test_a_change_is_served_at_once_and_only_its_list_is_signed(served):
    """The other lists keep tag and signature."""
    other = f"/status-lists/{BUCKET + 1}-0"
    before = [await served.get(), await served.get(other)]
    served.now += 1
    served.read(revoke(1, 0))
    after = [await served.get(), await served.get(other)]
    assert entries(claims_of(after[0]))[0] == 1
    assert before[0].header("etag") != after[0].header("etag")
    assert before[1].body == after[1].body
    assert served.keys.signed == 3


async def test_the_tag_is_weak_and_that_of_every_node_with_the_same_changes(served):
    """Signatures differ in time; what the lists say does not."""
    other = Served()
    other.now += 7
    other.read()
    tags = [(await each.get()).header("etag") for each in (served, other)]
    assert tags[0] == tags[1]
    assert tags[0].startswith('W/"')
    other.read(feed="after a failover")
    assert (await other.get()).header("etag") != tags[0]
    served.keys.kid = "the next key"
    assert (await served.get()).header("etag") != tags[0]


async def test_a_node_without_its_registry_lets_iat_stand_still(served):
    """What another node told since cannot be undone by it; past its end the list is refused."""
    first = claims_of(await served.get())
    served.now = first["exp"] - 1
    assert claims_of(await served.get()) == first
    served.now += 1
    answer = await served.get()
    assert (answer.status, answer.header("retry-after")) == (503, str(RETRY_SECONDS))
    assert answer.json == {"error": "temporarily_unavailable"}
    served.read()
    assert (await served.get()).status == 200


async def test_before_the_registry_is_read_there_is_no_list():
    """An empty list would say that nothing is revoked."""
    served = Served()
    for path in (PATH, "/status-lists"):
        answer = await served.get(path)
        assert (answer.status, answer.header("cache-control")) == (503, "no-store")


async def test_without_a_signer_there_is_no_list(served):
    """An outage of a security module is one of the lists; it ends with it."""
    served.keys.away = True
    answer = await served.get()
    assert (answer.status, answer.header("retry-after")) == (503, str(RETRY_SECONDS))
    served.keys.away = False
    assert (await served.get()).status == 200


async def test_many_who_ask_at_once_share_one_signature(served):
    """Packing and signing are done once."""
    answers = await asyncio.gather(*(served.get() for _ in range(20)))
    assert {answer.body for answer in answers} == {answers[0].body}
    assert served.keys.signed == 1


@pytest.mark.parametrize(
    ("accepted", "is_gzip"),
    [
        (b"gzip", True),
        (b"br;q=1.0, GZIP;q=0.5", True),
        (b"gzip;q=1", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000", False),
        (b"br", False),
        (b"", False),
    ],
)
async def test_a_list_is_compressed_for_those_who_take_it(served, accepted, is_gzip):
    """RFC 9110 §12.5.3; caches are told that it depends on the header."""
    plain = await served.get()
    answer = await served.get(PATH, (b"x-other", b"gzip"), (b"accept-encoding", accepted))
    assert answer.header("content-encoding") == ("gzip" if is_gzip else None)
    assert answer.header("vary") == "accept-encoding"
    body = zlib.decompress(answer.body, 31) if is_gzip else answer.body
    assert body == plain.body
    assert answer.header("etag") == plain.header("etag")


async def test_head_has_the_headers_alone(served):
    """RFC 9110 §9.3.2."""
    plain, head = await served.get(), await served.get(method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.header("content-length") == str(len(plain.body))


@pytest.mark.parametrize("path", [PATH, "/status-lists"])
async def test_other_methods_are_refused(served, path):
    """With those that there are."""
    answer = await served.get(path, method="POST")
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/status-lists/",
        "/status-lists/x",
        f"/status-lists/{BUCKET}",
        f"/status-lists/{BUCKET}-2",
        f"/status-lists/0{BUCKET}-0",
        f"/status-lists/{BUCKET}-0/",
        f"/status-lists/a/{BUCKET}-0",
        f"/status-lists/{BUCKET + 100}-0",
        f"/status-lists/{BUCKET - 100}-0",
    ],
)
async def test_what_is_no_list_is_not_found_and_not_signed(served, path):
    """So there is a bound to what strangers can have signed."""
    answer = await served.get(path)
    assert (answer.status, answer.header("cache-control")) == (404, "no-store")
    assert served.keys.signed == 0


async def test_lists_that_are_over_are_forgotten(served):
    """A worker holds no more than there is."""
    await served.get()
    served.now = bucket_end(BUCKET) + 3600
    served.read()
    assert (await served.get()).status == 404
    await served.get(f"/status-lists/{BUCKET + 2}-0")
    assert [*served.endpoint._signed] == [(BUCKET + 2, 0)]


async def test_all_lists_are_named_in_one_document(served):
    """§9.3: each is there, also under the path of an issuer that has one."""
    answer = await served.get("/status-lists")
    assert answer.json == {"status_lists": [URI]}
    assert answer.header("content-type") == "application/json"
    again = await served.get("/status-lists", (b"if-none-match", answer.header("etag").encode()))
    assert again.status == 304
    below = Served(issuer=ISSUER + "/tenant/")
    below.read()
    uri = f"{ISSUER}/tenant/status-lists/{BUCKET}-0"
    assert (await below.get("/tenant/status-lists")).json == {"status_lists": [uri]}
    assert claims_of(await below.get("/tenant" + PATH))["sub"] == uri
    assert claims_of(await below.get())["sub"] == uri


async def test_answers_are_json_where_they_are_no_list(served):
    """As those of other endpoints are."""
    assert json.loads((await served.get("/status-lists/x")).body) == {"error": "not_found"}
