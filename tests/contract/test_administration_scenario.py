"""The same operations on the database and through a server: the same answers, the same state."""

import re
import secrets
from contextlib import closing

import pytest

from issuer.administration.local import Administration
from issuer.registry.audit import Actor, Via
from tests.support.administration_scenario import run_scenario
from tests.support.provider import make_place, running
from watchword.ambient import wall_clock
from watchword.registry import ADMIN_SCOPES, open_registry
from watchword.remote_administration import RemoteAdministration
from watchword.settings import load_settings


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """Give the settings of a database for a provider, once for each engine."""
    if request.param == "sqlite":
        return {}
    return {"WATCHWORD_DATABASE_URL": request.getfixturevalue("postgres_url")}


def beside_the_database(issuer, folder):
    """Run the scenario on a new registry in a file, as the same client over the same channel."""
    settings = load_settings(issuer=issuer, data_dir=folder)
    resource = settings.administration
    with closing(open_registry(settings, now=wall_clock)) as registry:
        operations = Administration(
            registry,
            by=Actor(name="root", via=Via.API),
            now=wall_clock,
            random_bytes=secrets.token_bytes,
            default_resource=settings.default_resource,
            kept_resources=(resource,),
        )
        operations.create_client({"client_id": "root", "resources": [resource], "all_scopes": True})
        return run_scenario(operations)


def through_a_server(place):
    """Run the scenario over HTTP."""
    if "WATCHWORD_DATABASE_URL" in place.settings:
        assert place.run("db", "upgrade").returncode == 0
    place.add_key()
    grant = f"{place.url}/admin/api/v1 {' '.join(ADMIN_SCOPES)}"
    root = place.json("clients", "create", "root", "--grant", grant)
    with (
        running(place),
        closing(
            RemoteAdministration(place.url, client_id="root", client_secret=root["client_secret"])
        ) as operations,
    ):
        return run_scenario(operations)


def without_request_ids(transcript):
    """Leave out which request it was: beside the database there is none."""
    return [re.sub(r'"request_id": (null|"\w+")', '"request_id": ID', line) for line in transcript]


def test_the_scenario_has_the_same_transcript_either_way(tmp_path, monkeypatch, database):
    """Answers, refusals to the word, pages, the trail: only where it happens is different."""
    monkeypatch.chdir(tmp_path)
    place = make_place(tmp_path, **database)
    far = without_request_ids(through_a_server(place))
    near = without_request_ids(beside_the_database(place.url, tmp_path / "near"))
    assert len(near) == len(far)
    for here, there in zip(near, far, strict=True):
        assert here == there
