"""Wire keys, issuer and resource API together: settings, command line, combined provider."""

from importlib.util import find_spec

# These are names that a program may use for a module of its own, which then hides ours.
for _name in ("keys", "issuer", "resource_api", "consumer"):
    _found = str(getattr(find_spec(_name), "origin", None))
    if _found.rpartition("/")[0] != f"{__file__.rpartition('/')[0].rpartition('/')[0]}/{_name}":
        raise ImportError(
            f"{_found} hides the package `{_name}` that {__name__} needs, installed beside "
            f"{__file__}; rename the former, or take its folder off the module search path"
        )
