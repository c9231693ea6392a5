"""The `undertone` command group."""

import os
from difflib import get_close_matches
from importlib import import_module

import click
from click.shell_completion import CompletionItem
from undertone_telemetry.standard_output import checked_standard_output

from undertone_cli.configuration import make_configurable

COMMANDS = {
    "classify": ("undertone_cli.commands.classify", "Score one paragraph, or those of standard input."),
    "completion": ("undertone_cli.commands.completion", "Print a script for completion in a shell."),
    "compare": ("undertone_cli.commands.compare", "Compare two models: their scores, or their services."),
    "model": ("undertone_cli.commands.model", "Show the served model and the limits of the service."),
    "publish": ("undertone_cli.commands.publish", "Publish a folder of scores to an Iceberg table."),
    "replay": ("undertone_cli.commands.score", "Score the failed paragraphs of a run again."),
    "report": ("undertone_cli.commands.report", "Write an HTML report on a folder of scores."),
    "sample": ("undertone_cli.commands.sample", "Choose uncertain paragraphs for labelling."),
    "score": ("undertone_cli.commands.score", "Score files into a folder of Parquet tables."),
    "sql": ("undertone_cli.commands.sql", "Query scores with SQL."),
    "top": ("undertone_cli.commands.top", "Show the strongest paragraphs of an emotion."),
    "views": ("undertone_cli.commands.views", "Print the SQL of views for Athena, Spark or DuckDB."),
}
"""Module and short help of each command. The module has a function with the command's name."""


class LazyGroup(click.Group):
    """Imports a command's module when it is called, so that `--help` does not import Arrow."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - a programming error
        for form in (command, *getattr(command, "forms", ())):
            make_configurable(form, cmd_name, COMMANDS)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and (similar := get_close_matches(name, COMMANDS, n=1)):
            ctx.fail(f"No such command {name!r}. Did you mean {similar[0]!r}?")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # click would import the module of each command.
        names = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  undertone classify "The letter came too late."
  undertone score novel.txt --out scores/novel
  undertone report scores/novel --output novel.html

Each option has an environment variable, which the --help of its command shows. The file undertone.toml
in the current folder, else ~/.config/undertone/config.toml, or --config FILE, sets options, too:

\b
  target = "scores.example:443"
  tls = true
  [score]
  min-characters = 0""",
)
@click.version_option(package_name="undertone", prog_name="undertone")
def undertone() -> None:
    """Score the emotions of paragraphs with an Undertone service."""


def main() -> None:
    """Run the command and exit with its exit code."""
    # gRPC's core writes lines to standard error for each failed handshake. Our messages have them.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with checked_standard_output():
        undertone(prog_name="undertone")


if __name__ == "__main__":
    main()
