"""How help is laid out: commands in sections, each with its whole first sentence; many options too.

typer does that by rich alone, whose import would double the time to print help.
"""

from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

SECTIONS = ("Registry", "Keys and tokens", "Service", "Development", "Commands")
"""Where commands are listed, in this order; those that name no section are in the last."""

OPTION_SECTIONS = {
    "What it may ask for": (
        "scope",
        "resource",
        "grant",
        "add_scope",
        "remove_scope",
        "all_scopes",
        "default_scope",
        "authorization_details_type",
        "no_grants",
        "grant_types",
        "token_exchange",
        "introspects",
    ),
    "Secret and keys": (
        "token_endpoint_auth_method",
        "secret_stdin",
        "secret_expires_in",
        "token_endpoint_auth_signing_alg",
        "generate_key",
        "key_file",
        "key_alg",
        "replace_keys",
        "jwks",
        "jwks_uri",
        "tls_subject",
        "certificate",
        "federated",
        "federated_token",
        "federated_issuer",
        "federated_audience",
        "federated_claim",
        "federated_keys",
        "federated_identities",
    ),
    "Its tokens": (
        "token_ttl",
        "reuse_window",
        "dpop_bound_access_tokens",
        "tls_client_certificate_bound_access_tokens",
        "several_resources",
        "claims",
    ),
    "Its own life": ("disabled", "expires_in", "expires_at"),
    "Notes": ("client_name", "metadata", "metadata_json"),
}
"""The options of a client, by the sections that they are listed in, in this order."""


class ClientCommand(TyperCommand):
    """A command with its options in sections; those that no section names come last."""

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write arguments and options."""
        records: dict[str, tuple[str, str]] = {}
        arguments = []
        for each in self.get_params(ctx):
            if record := each.get_help_record(ctx):
                if each.param_type_name == "argument":
                    arguments.append(record)
                else:
                    records[each.name or ""] = record
        with formatter.section("Arguments"):
            formatter.write_dl(arguments)
        for title, names in OPTION_SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([records.pop(name) for name in names if name in records])
        with formatter.section("Options"):
            formatter.write_dl(list(records.values()))


class Group(TyperGroup):
    """A group that says of each command all of its first sentence."""

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the commands, in the sections that they name (`rich_help_panel`)."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None:
                section = getattr(command, "rich_help_panel", None) or SECTIONS[-1]
                summary = command.get_short_help_str(limit=1_000)
                sections.setdefault(section, []).append((name, summary))
        for title in sorted(sections, key=SECTIONS.index):
            with formatter.section(title):
                formatter.write_dl(sections[title])
