"""The `watchword console` command: a one-time link to the console for a user of the machine."""

import os
from contextlib import closing
from typing import Annotated

import typer

from watchword.ambient import wall_clock
from watchword.cli.output import WrongUsage, say
from watchword.cli.printing import TABLE, Output, prints_table
from watchword.cli.registry import operator, require_registry


@prints_table
def console(
    opens: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the link in the browser of this machine.")
    ] = True,
    output: Output = TABLE,
) -> None:
    """Print a link to the administration console and open it: it counts once, within 60 s.

    Whoever may read and write the registry's database may do all that the console offers; the audit
    trail names the user of this machine who ran the command.

    Example: watchword console --no-open
    """
    import secrets

    from issuer.registry.schema import write_time
    from issuer.storage.shared_keys import CONSOLE_KEY, find_shared_key
    from watchword.console.sessions import LINK_SECONDS, Link, SessionSeal
    from watchword.registry import open_registry
    from watchword.settings import load_settings

    settings = load_settings()
    if not settings.console:
        raise WrongUsage("the console is off; WATCHWORD_CONSOLE=on, as for serve, switches it on")
    require_registry(settings)  # a link that a new one made would count nowhere
    with closing(open_registry(settings, now=wall_clock)) as registry:
        root = find_shared_key(registry, CONSOLE_KEY)
    now, config = wall_clock(), settings.issuer_config
    link = Link.make(operator().name, now=now, random_bytes=secrets.token_bytes)
    seal = SessionSeal(root, config.origin, random_bytes=secrets.token_bytes)
    # After `#`: no server, proxy or log of theirs sees the code.
    url = f"{config.base}/console/sign-in#{seal.seal(link, now)}"
    if output.is_document:
        output.document({"url": url, "user": link.name, "expires_at": write_time(link.ends)})
    else:
        typer.echo(url)
        say(f"The link signs {link.name} in, once, within {LINK_SECONDS} s.")
    if opens and not output.is_document and _has_browser():
        _open(url)


def _open(url: str) -> None:
    """Open a link that other users of this machine must not see in the list of processes."""
    import tempfile
    import webbrowser
    from html import escape
    from pathlib import Path

    # Of mode 0600 in a folder of 0700. It stays, since browsers take their time; after a minute
    # it is worth nothing.
    page = Path(tempfile.mkdtemp(prefix="watchword-console-")) / "open.html"
    leads_on = f'<meta charset="utf-8"><meta http-equiv="refresh" content="0; url={escape(url)}">'
    page.touch(mode=0o600)
    page.write_text(leads_on, encoding="utf-8")
    webbrowser.open(page.as_uri())


def _has_browser() -> bool:
    """Tell whether a browser can show itself; one in a terminal would take the terminal over."""
    environment = os.environ  # noqa: TID251 - what a desktop sets, and no setting of ours
    return any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")) or (
        os.uname().sysname == "Darwin"
    )
