"""Which page is at which path of the console."""

from watchword.console import routes


def test_a_long_path_costs_no_more_than_a_short_one(monkeypatch):
    """Nobody needs to be signed in to ask for one."""
    tried = []
    parse = routes.parse_path
    monkeypatch.setattr(routes, "parse_path", lambda path: tried.append(path) or parse(path))
    for path in ("/a" * 4000, "/clients" + "/a" * 4000, "/" * 8000):
        assert routes.find_routes(path) == {}
        assert routes.nearest_page(path) in ("", "/", "/clients/a")
    assert len(tried) < 30
    assert max(map(len, tried)) < 100
