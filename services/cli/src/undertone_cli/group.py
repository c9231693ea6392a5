"""The command's root: what it can do, without loading how."""

from importlib import import_module

import click

COMMANDS = {
    "classify": ("undertone_cli.classify", "Score one paragraph and show its emotions."),
    "model": ("undertone_cli.model", "Show the model that the service has loaded, and its limits."),
    "replay": ("undertone_cli.replay", "Score again what a run could not."),
    "report": ("undertone_cli.report.command", "Turn a folder of scores into one page to look at."),
    "score": ("undertone_cli.score", "Score whole files into a folder of Parquet tables."),
}
"""Module and one line of help of each command. The function in the module has the command's name."""


class LazyGroup(click.Group):
    """Loads a command's module when it is called: `--help` and a typing error do not wait for Arrow."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - a mistake of ours
        return command

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

Every option of the connection can be set by an environment variable, such as UNDERTONE_TARGET for --target.""",
)
@click.version_option(package_name="undertone", prog_name="undertone")
def undertone() -> None:
    """Score the emotions of paragraphs with an Undertone service."""
