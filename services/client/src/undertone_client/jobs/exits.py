"""Exit codes, and the way from exceptions to them: a message for people, never a traceback for what is no defect."""

import enum
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click
from undertone_client.errors import (
    DeadlineExceededError,
    InputError,
    NotUndertoneError,
    OutputError,
    ServiceError,
    SettingsError,
    UnavailableError,
    UndertoneError,
)
from undertone_client.jobs.connection import Connection

P = ParamSpec("P")
R = TypeVar("R")


class ExitCode(enum.IntEnum):
    """What the command's exit says."""

    OK = 0
    FAILED = 1
    """The service refused a paragraph, or some of many."""
    USAGE = 2
    """Options, inputs or the output folder cannot be used."""
    UNREACHABLE = 3
    """The service does not answer."""
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_CODES = """\b
Exit codes:
  0    everything has its score
  1    the service refused a paragraph, or some of many: see failures.jsonl
  2    options, inputs or the output folder cannot be used
  3    the service cannot be reached, or has gone
  130  interrupted (143: terminated)"""


class CommandError(click.ClickException):
    """A message for people, and the exit code."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance


def explained(command: Callable[P, R]) -> Callable[P, R]:
    """Turns this package's exceptions, and Ctrl-C, into messages and exit codes. The command takes a `connection`."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        connection = kwargs["connection"]
        assert isinstance(connection, Connection)  # noqa: S101 - a mistake of ours
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise CommandError("interrupted", ExitCode.INTERRUPTED) from None
        except UndertoneError as error:
            raise explain(error, connection.target) from None

    return run


def explain(error: UndertoneError, target: str) -> CommandError:
    """The message and exit code of an exception of this package."""
    match error:
        case UnavailableError() | DeadlineExceededError():
            remedy = "Is the service running there? Name another with --target or UNDERTONE_TARGET"
            return CommandError(f"{target} does not answer ({error}). {remedy}", ExitCode.UNREACHABLE)
        case NotUndertoneError():
            return CommandError(f"{target} answers, but is no Undertone service ({error})", ExitCode.UNREACHABLE)
        case InputError() | OutputError() | SettingsError():
            return CommandError(str(error), ExitCode.USAGE)
        case ServiceError():
            return CommandError(f"the service refused ({error})", ExitCode.FAILED)
    return CommandError(str(error), ExitCode.FAILED)
