"""`undertone completion`."""

import click
from click.shell_completion import get_completion_class


@click.command(
    epilog="""\b
Examples:
  undertone completion bash >> ~/.bashrc
  undertone completion zsh >> ~/.zshrc
  undertone completion fish > ~/.config/fish/completions/undertone.fish

Open a new shell afterwards. Bash needs version 4.4 or newer."""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script with which a shell completes commands, options and values."""
    root = click.get_current_context().find_root()
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - the choices are click's
    click.echo(found(root.command, {}, "undertone", "_UNDERTONE_COMPLETE").source())
