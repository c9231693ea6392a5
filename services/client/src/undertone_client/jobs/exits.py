"""Exit codes of the commands, and the error messages that go with them."""

import asyncio
import enum
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from undertone_client.errors import (
    DeadlineExceededError,
    NotUndertoneError,
    ServiceError,
    SettingsError,
    TlsMismatchError,
    UnavailableError,
    UndertoneError,
    is_http_1,
    is_misconfigured,
)
from undertone_client.jobs.errors import InputError, OutputError, Terminated
from undertone_client.jobs.options import ConnectionOptions
from undertone_client.jobs.tls_probe import explain_tls

P = ParamSpec("P")
R = TypeVar("R")


class ExitCode(enum.IntEnum):
    """Exit code of a command."""

    OK = 0
    FAILED = 1
    """The service rejected a request, paragraphs have no score, or standard output is full."""
    USAGE = 2
    """Options, inputs or the output folder are invalid."""
    UNREACHABLE = 3
    """The service does not answer."""
    REFUSED = 4
    """`undertone compare` refuses the candidate."""
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_CODES = """\b
Exit codes:
  0    success
  1    the service rejected a request, paragraphs of a run have no score (see _failures.jsonl), or
       standard output cannot be written
  2    the options, the inputs or the output folder are invalid
  3    the service cannot be reached
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)"""


class CommandError(click.ClickException):
    """An error message for the user, with the exit code of the command."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance


def explain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turns UndertoneError and Ctrl-C into error messages and exit codes.

    Messages name the target of the command's argument `connection`, if it has one.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        connection = kwargs.get("connection")
        target = connection.target if isinstance(connection, ConnectionOptions) else "the service"
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt as error:
            raise command_error(error, target) from None
        except UndertoneError as error:
            if isinstance(connection, ConnectionOptions):
                error = asyncio.run(explain_tls(error, target, tls=connection.tls))
            raise command_error(error, target) from None

    return run


def command_error(error: BaseException, target: str, *, option: str = "--target or UNDERTONE_TARGET") -> click.ClickException:
    """Error message and exit code of an exception. The message never quotes a paragraph.

    `option` is the option with the address of the service, for the remedy.
    """
    match error:
        case click.ClickException():
            return error
        case KeyboardInterrupt():
            return CommandError("interrupted", ExitCode.INTERRUPTED)
        case Terminated():
            return CommandError("terminated", ExitCode.TERMINATED)
        case TlsMismatchError(server_uses_tls=True):
            return CommandError(f"{target} uses TLS, but this command does not: add --tls.", ExitCode.UNREACHABLE)
        case TlsMismatchError():
            remedy = "remove --tls, and unset UNDERTONE_TLS."
            return CommandError(f"{target} does not use TLS, but this command does: {remedy}", ExitCode.UNREACHABLE)
        case UnavailableError() if is_http_1(error):
            remedy = f"Name the gRPC port with {option} (default: 50051)."
            return CommandError(f"{target} does not serve gRPC, but HTTP/1. {remedy}", ExitCode.UNREACHABLE)
        case UnavailableError() if is_misconfigured(error):
            remedy = "Check --tls, --ca-file, --cert and the name in the server's certificate."
            return CommandError(f"{target} does not accept the connection ({error}). {remedy}", ExitCode.UNREACHABLE)
        case UnavailableError() | DeadlineExceededError():
            longer = "Set a longer --timeout, or check" if isinstance(error, DeadlineExceededError) else "Check"
            remedy = f"{longer} that the service is running, or name another address with {option}."
            return CommandError(f"{target} does not answer ({error}). {remedy}", ExitCode.UNREACHABLE)
        case NotUndertoneError():
            return CommandError(f"{target} is not an Undertone service ({error}).", ExitCode.UNREACHABLE)
        case InputError() | OutputError() | SettingsError():
            return CommandError(str(error), ExitCode.USAGE)
        case ServiceError():
            return CommandError(f"the service rejected the request ({error})", ExitCode.FAILED)
        case UndertoneError():
            return CommandError(str(error), ExitCode.FAILED)
    return CommandError(type(error).__name__, ExitCode.FAILED)  # its message may quote a text
