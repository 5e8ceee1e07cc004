"""`watchword clients`: register, see, switch off, delete, as an operator types it."""

import json
import re
import stat
from contextlib import closing

import pytest

from issuer.storage.registry import Registry
from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import document, run_command
from tests.support.keys import public_rsa_jwk
from watchword.ambient import wall_clock


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def find_client(tmp_path, client_id):
    """Read a client from the database that the commands wrote."""
    url = f"sqlite:///{tmp_path / 'watchword-data' / 'registry.db'}"
    with closing(Registry.open(url, now=lambda: 0)) as registry:
        return registry.find_client(client_id)


def test_an_operators_first_minute(tmp_path):
    """Create, list, show, disable, enable, delete: with the real command, in an empty folder."""
    created = document(run_command(tmp_path, "clients", "create", "till", "--json"))
    assert re.fullmatch(r"wws_[\w-]{43}", created["client_secret"])
    data = tmp_path / "watchword-data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "registry.db").stat().st_mode) == 0o600
    (secret,) = find_client(tmp_path, "till").secrets
    assert secret.hash.verify(created["client_secret"])
    for file in data.iterdir():
        assert created["client_secret"].encode() not in file.read_bytes()

    listed = document(run_command(tmp_path, "clients", "list", "--json"))
    assert [each["client_id"] for each in listed["clients"]] == ["till"]
    assert created["client_secret"] not in str(listed)

    assert run_command(tmp_path, "clients", "disable", "till").returncode == 0
    assert document(run_command(tmp_path, "clients", "show", "till", "--json"))["disabled"]
    assert run_command(tmp_path, "clients", "enable", "till").returncode == 0
    assert run_command(tmp_path, "clients", "delete", "till", "--yes").returncode == 0
    assert "no such client: till" in refused(run_command(tmp_path, "clients", "show", "till"))


def test_create_prints_the_registration_under_its_registered_names(run):
    """RFC 7591 §2 names; times are RFC 3339 in UTC, durations seconds."""
    arguments = ["--scope", "read", "--name", "Kasse", "--auth", "client_secret_post"]
    limits = ["--token-ttl", "60", "--expires-at", "2031-01-31T13:00:00+01:00", "--dpop"]
    notes = ["--metadata", "team=shop", "--metadata", "note=a=b", "--certificate-bound"]
    created = document(
        run("clients", "create", "till", *arguments, *limits, *notes, "--disabled", "--json")
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created.pop("created_at"))
    assert created.pop("updated_at")
    assert list(created)[:2] == ["client_id", "client_secret"]
    assert created.pop("client_secret")
    assert created.pop("secret_id")
    assert created == {
        "client_id": "till",
        "client_secret_expires_at": None,
        "client_name": "Kasse",
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["client_credentials"],
        "scope": "read",
        "resources": [ISSUER],
        "grants": [{"resource": ISSUER, "scope": "read"}],
        "token_ttl": 60,
        "dpop_bound_access_tokens": True,
        "tls_client_certificate_bound_access_tokens": True,
        "disabled": True,
        "expires_at": "2031-01-31T12:00:00Z",
        "metadata": {"team": "shop", "note": "a=b"},
        "state": "disabled",
        "next_end_at": "2031-01-31T12:00:00Z",
    }


def test_a_client_gets_all_of_the_default_resource_when_that_is_said(run):
    """What was granted is printed, since it was not typed."""
    created = document(run("clients", "create", "till", "--all-scopes", "--json"))
    assert (created["resources"], created["scope"]) == ([ISSUER], "read write")
    assert created["token_endpoint_auth_method"] == "client_secret_basic"
    assert "read write" in run("clients", "create", "other", "--all-scopes").stdout


@pytest.mark.parametrize("named", [(), ("--resource", ISSUER)])
def test_without_scope_a_client_is_granted_nothing_and_told_what_there_is(run, named):
    """Least privilege: nothing is granted that was not asked for."""
    done = run("clients", "create", "till", *named, "--json")
    created = document(done)
    assert (created["grants"], created["scope"]) == ([], "")
    assert "clients update till --resource URI --add-scope SCOPE" in done.stderr
    assert f"{ISSUER} has: read write" in done.stderr
    assert "watchword:" not in done.stderr.replace("watchword: ", "")


@pytest.mark.parametrize(
    "beside", [("--scope", "read"), ("--grant", f"{ISSUER} read"), ("--no-grants",)]
)
def test_all_scopes_stands_alone(run, beside):
    """Beside scopes that are named it would have two meanings."""
    told = refused(run("clients", "create", "till", "--all-scopes", *beside), code=2)
    assert f"--all-scopes: not together with {beside[0]}" in told


def test_the_default_resource_is_a_setting(run, monkeypatch):
    """The demo API's audience is what new clients are for."""
    monkeypatch.setenv("WATCHWORD_API_RESOURCE", "https://api.example")
    created = document(run("clients", "create", "till", "--scope", "read", "--json"))
    assert created["resources"] == ["https://api.example"]


def test_a_person_sees_the_secret_once_and_is_told_so(run):
    """The table is for people; the warning is no data."""
    done = run("clients", "create", "till")
    (secret,) = re.findall(r"wws_[\w-]{43}", done.stdout)
    assert "not shown again" in done.stderr
    assert secret not in done.stderr
    for later in (("clients", "show", "till"), ("clients", "list"), ("clients", "list", "--json")):
        assert "wws_" not in run(*later).stdout


def test_a_client_of_two_resources_gets_each_scope_where_it_exists(run):
    """A scope goes to each named resource that has it; every scope is on at least one."""
    url = "https://orders.example"
    document(run("resources", "create", url, "--scope", "read", "--scope", "ship", "--json"))
    resources = ("--resource", url, "--resource", ISSUER)
    scopes = ("--scope", "read ship", "--scope", "write")
    created = document(run("clients", "create", "till", *resources, *scopes, "--json"))
    assert created["grants"] == [
        {"resource": url, "scope": "read ship"},
        {"resource": ISSUER, "scope": "read write"},
    ]
    assert created["scope"] == "read ship write"
    assert "fly" in refused(
        run("clients", "create", "x", "--resource", url, "--scope", "read", "--scope", "fly")
    )


def test_grants_can_be_written_out_with_their_default_scopes(run):
    """What a request that names no scope gets (RFC 6749 §3.3) is fewer than all."""
    grant = ("--grant", f"{ISSUER} read write", "--default-scope", "read")
    created = document(run("clients", "create", "till", *grant, "--json"))
    expected = {"resource": ISSUER, "scope": "read write", "default_scope": "read"}
    assert created["grants"] == [expected]
    named = ("--resource", ISSUER, "--all-scopes", "--default-scope", "read")
    assert document(run("clients", "create", "x", *named, "--json"))["grants"] == [expected]
    assert "(default: read)" in run("clients", "show", "till").stdout
    asked = refused(run("clients", "create", "y", "--default-scope", "read"), code=2)
    assert "--default-scope: name the resources" in asked
    fly = run("clients", "create", "y", "--resource", ISSUER, "--default-scope", "fly")
    assert "--default-scope: fly is not granted" in refused(fly, code=2)


def test_a_client_without_grants_may_ask_for_nothing(run):
    """It is known, and no more."""
    created = document(run("clients", "create", "till", "--no-grants", "--json"))
    assert (created["grants"], created["grant_types"]) == ([], [])
    assert "it gets no tokens" in run("clients", "show", "till").stdout


def test_a_supplied_secret_is_read_from_standard_input_and_not_echoed(run, tmp_path):
    """A short one gets the slow hash, a long one the fast one."""
    long = "k" * 32
    done = run("clients", "create", "long", "--secret-stdin", stdin=f"{long}\nsecond line\n")
    assert done.returncode == 0
    assert long not in done.stdout + done.stderr
    created = document(
        run("clients", "create", "short", "--secret-stdin", "--json", stdin="12345678")
    )
    assert "client_secret" not in created
    (fast,), (slow,) = find_client(tmp_path, "long").secrets, find_client(tmp_path, "short").secrets
    assert (fast.hash.slow, slow.hash.slow) == (False, True)
    assert fast.hash.verify(long)
    assert slow.hash.verify("12345678")


@pytest.mark.parametrize("stdin", ["", "\n", "1234567\n", "tab\there-is-one\n", "ümläutig\n"])
def test_an_impossible_secret_is_wrong_usage(run, stdin):
    """Nothing is registered and the secret is not echoed."""
    done = run("clients", "create", "till", "--secret-stdin", stdin=stdin)
    line = refused(done, code=2)
    assert "--secret-stdin: a secret is 8 to 512" in line
    assert not stdin.strip() or stdin.strip() not in line
    assert document(run("clients", "list", "--json")) == {"clients": []}


def test_lives_can_be_given_in_seconds_from_now(run, tmp_path):
    """Of the client as a whole, and of its first secret."""
    before = wall_clock()
    limits = ("--expires-in", "600", "--secret-expires-in", "60")
    assert run("clients", "create", "till", *limits).returncode == 0
    client = find_client(tmp_path, "till")
    assert before + 600 <= client.registration.expires_at <= wall_clock() + 600
    (secret,) = client.secrets
    assert before + 60 <= secret.expires_at <= wall_clock() + 60


def test_a_client_of_keys_is_registered_without_a_secret(run, tmp_path):
    """Its keys are shown, and nothing is warned of."""
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [public_rsa_jwk().members()]}))
    done = run("clients", "create", "till", "--auth", "private_key_jwt", "--jwks", str(keys))
    assert done.returncode == 0
    assert "warning" not in done.stderr
    assert public_rsa_jwk().kid in done.stdout
    shown = document(run("clients", "show", "till", "--json"))
    assert (len(shown["jwks"]["keys"]), shown["secrets"]) == (1, [])


def test_a_client_or_resource_of_bound_tokens_is_made_without_a_warning(run):
    """The token endpoint binds tokens."""
    for option in ("--dpop", "--certificate-bound"):
        of_client = run("clients", "create", f"a{option}", option)
        url = f"https://a.example/{option}"
        of_resource = run("resources", "create", url, "--scope", "a", option)
        for done in (of_client, of_resource):
            assert done.returncode == 0
            assert "warning" not in done.stderr


@pytest.mark.parametrize(
    ("method", "option", "member"),
    [
        ("private_key_jwt", "--jwks-uri=https://a.example/jwks", "jwks_uri"),
        ("self_signed_tls_client_auth", "--jwks-uri=https://a.example/jwks", "jwks_uri"),
        ("tls_client_auth", "--tls-subject=dn=CN=till", "tls_client_auth_subject_dn"),
        ("tls_client_auth", "--tls-subject=dns=a.example", "tls_client_auth_san_dns"),
        ("tls_client_auth", "--tls-subject=uri=spiffe://a/b", "tls_client_auth_san_uri"),
        ("tls_client_auth", "--tls-subject=ip=::1", "tls_client_auth_san_ip"),
        ("tls_client_auth", "--tls-subject=email=a@b.example", "tls_client_auth_san_email"),
    ],
)
def test_every_registered_method_can_be_said(run, method, option, member):
    """RFC 7591 §2 and RFC 8705 §2.1.2: what a client is known by has a name of its own."""
    created = document(run("clients", "create", "till", "--json", "--auth", method, option))
    assert created["token_endpoint_auth_method"] == method
    assert option.endswith("=" + created[member])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["two words"], "ID: a client id"),
        (["é"], "ID: a client id"),
        (["x" * 256], "ID: a client id"),
        (["a\x1b[2Jb"], "ID: a client id"),
        ([""], "ID: a client id"),
        (["till\n"], "ID: a client id"),
        (["\udcff"], "not valid in the encoding"),
        (
            ["till", "--auth", "client_secret_jwt"],
            "WATCHWORD_CLIENT_SECRET_JWT=on switches",
        ),
        (["till", "--auth", "federated"], "federated needs --federated-identity"),
        (
            ["till", "--auth", "none"],
            "--auth: must be one of client_secret_basic",
        ),
        (["till", "--auth", "private_key_jwt"], "private_key_jwt needs one of --jwks"),
        (["till", "--jwks-uri", "https://a.example/j"], "client_secret_basic has no --jwks-uri"),
        (["till", "--jwks-uri", "http://a.example/j"], "--jwks-uri: jwks_uri must be https"),
        (["till", "--jwks", "none.json"], "--jwks: none.json cannot be read: no such file"),
        (["till", "--auth", "tls_client_auth", "--tls-subject", "cn=x"], "KIND is dn, dns, uri"),
        (["till", "--token-ttl", "0"], "--token-ttl: must be at least 1"),
        (["till", "--token-ttl", "86401"], "86400"),
        (
            ["till", "--token-ttl", "soon"],
            "--token-ttl: must be 1 or more: a whole number of seconds",
        ),
        (["till", "--name", "a\nb"], "printable"),
        (["till", "--scope", 'a"b'], "--scope"),
        (["till", "--scope", ""], "--scope"),
        (["till", "--resource", "orders"], "--resource"),
        (["till", "--grant", f"{ISSUER}"], f"--grant: no scope is named after {ISSUER}; say 'URI "),
        (["till", "--grant", ""], "--grant: no scope is named after the resource"),
        (["till", "--grant", f"{ISSUER} read", "--scope", "read"], "--grant: not together with"),
        (["till", "--no-grants", "--scope", "read"], "--no-grants: not together with --scope"),
        (["till", "--grant-type", "password"], "--grant-type: 'password' is no grant here"),
        (["till", "--expires-at", "tomorrow"], "--expires-at: must be a time such as"),
        (
            ["till", "--expires-in", "0"],
            "--expires-in: must be 1 or more: a whole number of seconds",
        ),
        (["till", "--expires-in", "999999999999"], "--expires-in: a time is from 1970"),
        (["till", "--secret-expires-in", "-1"], "--secret-expires-in"),
        (["till", "--metadata", "team"], "--metadata: must be KEY=VALUE"),
        (["till", "--metadata", "a=1", "--metadata", "a=2"], "'a' is given twice"),
        (["till", "--metadata", "a=" + "x" * 5000], "metadata has more than 4096 bytes"),
        (["till", "a-secret"], "argument"),
    ],
)
def test_what_can_never_be_is_wrong_usage(run, arguments, words):
    """Exit code 2, one line, nothing registered."""
    assert words in refused(run("clients", "create", *arguments), code=2)
    assert document(run("clients", "list", "--json")) == {"clients": []}


def test_all_mistakes_of_a_command_are_told_at_once(run, monkeypatch):
    """Arguments, options, standard input and settings, a line each; the secret is not shown."""
    monkeypatch.setenv("WATCHWORD_PORT", "many")
    wrong = ["two words", "--token-ttl", "0", "--scope", 'a"b', "--expires-in", "x"]
    told = refused(
        run("clients", "create", *wrong, "--secret-stdin", stdin="short\n"), code=2, lines=6
    )
    for label in ("ID", "--token-ttl", "--scope", "--expires-in", "--secret-stdin"):
        assert f"watchword: {label}: " in told
    assert "WATCHWORD_PORT" in told
    assert "short" not in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not JSON"),
        (b"-----BEGIN PUBLIC KEY-----", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"keys": []}', "1 to 10 keys"),
        (b'{"keys": [{"kty": "oct", "k": "AAAA"}]}', "private members"),
        (b" " * (1 << 20) + b"{}", "more than"),
    ],
)
def test_a_file_that_holds_no_public_keys_is_wrong_usage(run, tmp_path, content, words):
    """The file is named, and nothing of it is shown."""
    file = tmp_path / "keys.json"
    file.write_bytes(content)
    done = run("clients", "create", "till", "--auth", "private_key_jwt", "--jwks", str(file))
    assert words in refused(done, code=2)


def test_notes_of_any_shape_come_from_a_file(run, tmp_path):
    """A JSON object; single texts may be said beside it."""
    (tmp_path / "notes.json").write_text('{"cost": {"centre": 7}, "team": "x"}')
    notes = ("--metadata-json", "notes.json", "--metadata", "team=shop")
    created = document(run("clients", "create", "till", *notes, "--json"))
    assert created["metadata"] == {"cost": {"centre": 7}, "team": "shop"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "till"], "the client exists already: till"),
        (["create", "x", "--scope", "fly"], f"no such scope on {ISSUER}: fly"),
        (["create", "x", "--resource", "https://no"], "no such resource: https://no"),
        (["create", "x", "--grant", "https://no read"], "no such resource: https://no"),
        (["create", "x", "--grant", f"{ISSUER} fly"], f"no such scope on {ISSUER}: fly"),
        (["show", "x"], "no such client: x"),
        (["update", "x", "--name", "y"], "no such client: x"),
        (["update", "x", "--add-scope", "y"], "no such client: x"),
        (["disable", "x"], "no such client: x"),
        (["enable", "x"], "no such client: x"),
        (["delete", "x"], "no such client: x"),
        (["secrets", "add", "x"], "no such client: x"),
        (["secrets", "list", "x"], "no such client: x"),
        (["secrets", "revoke", "x", "abc"], "no such client: x"),
        (["secrets", "revoke", "till", "abc"], "till has no secret 'abc'"),
    ],
)
def test_what_is_not_so_now_is_refused(run, arguments, words):
    """Exit code 1, one line why."""
    run("clients", "create", "till")
    assert words in refused(run("clients", *arguments))


@pytest.mark.parametrize("command", ["show", "disable", "enable", "delete"])
def test_an_id_that_no_client_can_have_is_wrong_usage(run, command):
    """Whatever is typed, the terminal gets one line that it can show."""
    assert "ID: a client id" in refused(run("clients", command, "a\nb\x1b"), code=2)


@pytest.mark.parametrize(
    ("answer", "deleted"),
    [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)],
)
def test_deleting_asks_first(run, answer, deleted):
    """Anything but yes, also no answer at all, deletes nothing."""
    run("clients", "create", "till")
    done = run("clients", "delete", "till", stdin=answer)
    assert "Delete the client till" in done.stderr
    assert done.returncode == (0 if deleted else 1)
    left = document(run("clients", "list", "--json"))["clients"]
    assert [each["client_id"] for each in left] == ([] if deleted else ["till"])
