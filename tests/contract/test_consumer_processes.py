"""`ClientCredentials` in other processes: as a task argument, and in a child that is forked."""

import copy
import os
import pickle
import signal
import threading
import time
from dataclasses import replace

import httpx
import httpx2
import pytest

from consumer import auth, httpx2_auth, token_source
from tests.support.local_issuer import served_issuer

LIBRARIES = {"httpx": (httpx, auth), "httpx2": (httpx2, httpx2_auth)}
PATIENCE = 10.0

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


@pytest.fixture
def issuer():
    """A real issuer on a local socket, with an API."""
    with served_issuer() as issuer:
        yield issuer


@pytest.fixture(params=LIBRARIES)
def library(request):
    """Each HTTP library in turn, with the module that serves it."""
    return LIBRARIES[request.param]


def call(library, credentials, url):
    """Call the API and return the token that it saw."""
    with library[0].Client(auth=credentials) as client:
        return client.get(f"{url}/api").json()["seen"]


def exit_code_of_a_child(work):
    """Fork, do the work in the child, and return its exit code; a child that hangs is killed."""
    child = os.fork()
    if not child:
        try:
            os._exit(work())
        finally:
            os._exit(70)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        threading.Event().wait(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda credentials: pickle.loads(pickle.dumps(credentials))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_duplicate_shares_the_token(library, issuer, duplicate):
    """Its settings are the same, so it is one more object of the same client."""
    credentials = library[1].ClientCredentials(issuer.url, "id", "s3cret", scope="read")
    assert call(library, credentials, issuer.url) == "t1"
    other = duplicate(credentials)
    assert repr(other) == repr(credentials)
    assert call(library, other, issuer.url) == "t1"


def test_a_pickle_has_the_secret_and_no_token(library, issuer):
    """It is as secret as the secret, and no more than that."""
    credentials = library[1].ClientCredentials(issuer.url, "id", "s3cret")
    credentials.remark = "kept"
    call(library, credentials, issuer.url)
    content = pickle.dumps(credentials)
    assert b"s3cret" in content
    assert b"t1" not in content
    assert pickle.loads(content).remark == "kept"


def test_a_transport_of_the_callers_is_shared_by_copies(library):
    """It belongs to the caller, who may have built it around what cannot be copied."""
    http, module = library
    transport = http.HTTPTransport(verify=False)
    credentials = module.ClientCredentials("https://as.example", "i", "s", transport=transport)
    for other in (copy.copy(credentials), copy.deepcopy(credentials)):
        assert other._issuer_http._transport is transport
    transport.close()


def test_a_child_has_the_token_of_its_parent(library, issuer):
    """What was fetched before the fork serves both."""
    credentials = library[1].ClientCredentials(issuer.url, "id", "s3cret")
    call(library, credentials, issuer.url)
    assert exit_code_of_a_child(lambda: call(library, credentials, issuer.url) != "t1") == 0
    assert issuer.requests["/token"] == 1


def test_a_child_forked_during_a_fetch_fetches_itself(library, issuer):
    """The thread that fetches exists in the parent alone."""
    credentials = library[1].ClientCredentials(issuer.url, "id", "s3cret")
    issuer.token_waiting_time = 1.0
    fetching = threading.Thread(target=call, args=(library, credentials, issuer.url))
    fetching.start()
    while not issuer.requests["/token"]:
        time.sleep(0.005)
    issuer.token_waiting_time = 0.0
    began = time.monotonic()
    assert exit_code_of_a_child(lambda: call(library, credentials, issuer.url) != "t2") == 0
    assert time.monotonic() - began < PATIENCE / 2
    fetching.join()


def test_no_thread_of_a_child_meets_the_lock_of_its_parent(library, issuer, monkeypatch):
    """Not even while another thread of the child makes it a flow of its own."""
    source = library[1].TokenSource(issuer.url, "id", "s3cret")
    source.token()
    making, go_on, share = threading.Event(), threading.Event(), token_source.share

    def slow(*arguments):
        if threading.current_thread().name == "first":
            making.set()
            go_on.wait(PATIENCE)
        return share(*arguments)

    def second():
        first = threading.Thread(target=source.token, name="first", daemon=True)
        first.start()
        making.wait(PATIENCE)
        value = source.token().value
        go_on.set()
        first.join()
        return value != "t1"

    monkeypatch.setattr(token_source, "share", slow)
    with source._flow._lock:  # as a thread that the child does not have
        assert exit_code_of_a_child(second) == 0


def test_a_child_forked_while_the_tls_context_is_made_makes_one(library, issuer):
    """No lock of a thread that is not there is waited for."""
    parent, making, go_on = os.getpid(), threading.Event(), threading.Event()
    original = library[1].ClientCredentials._library

    def make(**options):
        if os.getpid() == parent:
            making.set()
            go_on.wait(PATIENCE)
        return original.tls_context(**options)

    class Slow(library[1].ClientCredentials):
        _library = replace(original, tls_context=make)

    credentials = Slow(issuer.url, "id", "s3cret")
    fetching = threading.Thread(target=call, args=(library, credentials, issuer.url))
    fetching.start()
    assert making.wait(PATIENCE)
    assert exit_code_of_a_child(lambda: call(library, credentials, issuer.url) != "t1") == 0
    go_on.set()
    fetching.join()
