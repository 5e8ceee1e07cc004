"""The `watchword scenario` command."""

from typing import Annotated

import typer


def scenario(
    api: Annotated[
        str | None, typer.Option(help="Where the API is; WATCHWORD_API or the issuer if left out.")
    ] = None,
) -> None:
    """Run the consumer's scenario against a running provider; exit 0 if all went as it should.

    Example: WATCHWORD_CLIENT_ID=demo WATCHWORD_CLIENT_SECRET=... watchword scenario
    """
    from consumer.demo.scenario import run
    from watchword.cli.token import client_credentials
    from watchword.settings import load_settings

    settings = load_settings(api=api)
    client_id, secret = client_credentials(settings)
    raise typer.Exit(
        run(
            issuer=settings.issuer,
            api=settings.api_url,
            client_id=client_id,
            client_secret=secret,
            out=typer.echo,
        )
    )
