"""`python -m consumer`: run the scenario of a consumer against a running provider.

The only place of this package that reads the environment.
"""

import argparse
import os
import sys
from collections.abc import Mapping

from keys.identifiers import InsecureHttp, parse_insecure_http

DEFAULT_ISSUER = "http://localhost:8080"


def main(arguments: list[str] | None = None) -> int:
    """Run the scenario and return the exit code.

    Returns:
        0 if every answer was the expected one, 1 if not, 2 if settings are missing, 130 if
        interrupted.
    """
    if sys.stdout is None:
        print("the output cannot be written: standard output is closed", file=sys.stderr)
        return 1
    environment = os.environ  # noqa: TID251 - read here only
    given = _parser(environment).parse_args(arguments)
    client_id = _credential(environment, "CLIENT_ID")
    client_secret = _credential(environment, "CLIENT_SECRET")
    key_file = environment.get("WATCHWORD_CLIENT_KEY")
    if not client_id or not (client_secret or key_file):
        wanted = {"WATCHWORD_CLIENT_ID": client_id, "WATCHWORD_CLIENT_SECRET": client_secret}
        missing = " and ".join(name for name, value in wanted.items() if not value)
        print(f"set {missing} in the environment", file=sys.stderr)
        return 2
    from consumer.client_assertion import PrivateKeyJwt
    from consumer.client_auth import ClientAuth, ClientSecretBasic
    from consumer.demo.scenario import run  # here, so that --help needs no HTTP library

    try:
        auth: ClientAuth
        if key_file and not client_secret:
            auth = PrivateKeyJwt(client_id, key_file)
        else:
            auth = ClientSecretBasic(client_id, client_secret)
        allowed = _insecure_http(environment)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        return run(
            issuer=given.issuer,
            api=given.api or given.issuer,
            auth=auth,
            allow_insecure_http=allowed,
        )
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _credential(environment: Mapping[str, str], name: str) -> str:
    # White space around it is what a shell or an editor left there, and no part of it.
    given = environment.get(f"WATCHWORD_{name}") or environment.get(name) or ""
    return given.strip()


def _insecure_http(environment: Mapping[str, str]) -> InsecureHttp:
    name = "WATCHWORD_ALLOW_INSECURE_HTTP"
    try:
        return parse_insecure_http(environment.get(name) or "false")
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m consumer",
        description="Run the scenario of a consumer against a running provider.",
        epilog="The client's credentials are read from WATCHWORD_CLIENT_ID, and "
        "WATCHWORD_CLIENT_SECRET or WATCHWORD_CLIENT_KEY. Example: python -m consumer --issuer http://localhost:8080",
    )
    parser.add_argument(
        "--issuer",
        default=environment.get("WATCHWORD_ISSUER") or DEFAULT_ISSUER,
        help="the issuer identifier (default: WATCHWORD_ISSUER, else %(default)s)",
    )
    parser.add_argument(
        "--api",
        default=environment.get("WATCHWORD_API"),
        help="where the API is (default: WATCHWORD_API, else the issuer)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
