"""`watchword.registry`: where the registry is, and what opening it makes."""

from contextlib import closing

import pytest

from tests.support.registry import RegistryHarness
from watchword.ambient import wall_clock
from watchword.registry import open_registry
from watchword.settings import load_settings


@pytest.mark.parametrize("name", ["50%", "%20", "a?b=c", "a#b", "a b", "ü", "a'b", "a@b:c"])
def test_a_data_folder_may_have_any_name(tmp_path, monkeypatch, name):
    """The path is not pasted into a URL, in which these characters mean something."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings(data_dir=tmp_path / name)
    with closing(open_registry(settings, now=wall_clock)) as registry:
        assert len(RegistryHarness(registry).list_resources()) == 2
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "registry.db").stat().st_size > 0
