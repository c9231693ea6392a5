"""The options of all commands."""

from collections.abc import Iterator

import click
import pytest
from click.types import FloatParamType, IntParamType
from undertone_bench.cli import main

Words = tuple[str, ...]


def commands(group: click.Group, path: Words = ()) -> Iterator[tuple[Words, click.Command]]:
    """All commands of a group and of its groups, with their names."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif command:
            yield (*path, name), command


COMMANDS = dict(commands(main))
NUMERIC = [
    (*path, option.opts[0])
    for path, command in COMMANDS.items()
    for option in command.params
    if isinstance(option.type, (IntParamType, FloatParamType))
]


def refusal(words: Words, value: str) -> str:
    """The message with which a command refuses a value of one of its options."""
    *path, option = words
    # The command is not run, because a measurement would start if the value were accepted.
    parent = click.Context(main, **main.context_settings)
    with pytest.raises(click.BadParameter) as refused:
        COMMANDS[tuple(path)].make_context(path[-1], [f"{option}={value}"], parent)
    return refused.value.format_message()


@pytest.mark.parametrize("words", NUMERIC, ids=" ".join)
def test_a_numeric_option_refuses_values_without_a_meaning(words: Words) -> None:
    for value in ("-1", "nan", "inf", "many"):
        message = refusal(words, value)
        assert f"Invalid value for '{words[-1]}'" in message
        assert value in message


MAY_BE_ZERO = {
    ("cache", "--token-seconds"),
    ("client-throughput", "--warm-up"),
    ("goodput", "--bisections"),
    ("rollouts", "--dns-cache"),
    ("rollouts", "--drains"),
    ("rollouts", "--envoy-rollouts"),
    ("rollouts", "--kills"),
    ("rollouts", "--load-seconds"),
    ("rollouts", "--predict-seconds"),
    ("rollouts", "--rollouts"),
    ("simulation", "serve", "--call-seconds"),
    ("simulation", "serve", "--cancelled"),
    ("simulation", "serve", "--exhausted"),
    ("simulation", "serve", "--lost"),
    ("simulation", "serve", "--port"),
    ("simulation", "serve", "--refused-items"),
    ("simulation", "serve", "--reset"),
    ("simulation", "serve", "--seed"),
    ("simulation", "serve", "--token-seconds"),
    ("simulation", "serve", "--unavailable"),
    ("soak", "--faults"),
    ("soak", "--kill-at"),
    ("soak", "--restart"),
    ("tune", "--max-other-cpus"),
}
"""Options for which 0 has a meaning, such as no faults."""


@pytest.mark.parametrize("words", [words for words in NUMERIC if words not in MAY_BE_ZERO], ids=" ".join)
def test_numbers_and_durations_are_positive(words: Words) -> None:
    assert f"Invalid value for '{words[-1]}'" in refusal(words, "0")
