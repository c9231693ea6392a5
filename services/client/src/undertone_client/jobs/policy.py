"""The option --policy."""

import click
from undertone_client.values import Policy


def _policy(context: click.Context, option: click.Parameter, value: str) -> Policy:
    return Policy(value)


policy_option = click.option(
    "--policy",
    type=click.Choice([policy.value for policy in Policy]),
    callback=_policy,
    default=Policy.CHUNK_MEAN.value,
    show_default=True,
    help="What to do with a paragraph that is longer than the model can read at once.",
)
"""Adds `policy` to a command's arguments, as a `Policy`."""
