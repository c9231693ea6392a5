"""The operator of a local process."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException, BaseOperator
from airflow.providers.standard.hooks.subprocess import SubprocessHook

from undertone_schedules.run_summary import counts_of_summary, reason_of_skip

USAGE_EXIT_CODE = 2
"""The exit code of `undertone-batch` for invalid options. A retry would end in the same way."""


class UndertoneBatchOperator(BaseOperator):
    """Runs `undertone-batch` as a process, and returns the counts of its summary.

    The task is skipped, without an asset event, if the table has newer data than the source of the
    run. A run whose options are invalid is not retried. The process is ended with SIGTERM when the
    task is stopped or exceeds its `execution_timeout`.

    Args:
        command: The program and its first arguments.
        arguments: Further arguments, with Jinja templates.
        environment: Environment variables in addition to those of the worker.
    """

    template_fields: ClassVar[Sequence[str]] = ("arguments",)
    ui_color = "#d9e6f2"

    def __init__(
        self, *, command: Sequence[str], arguments: Sequence[str], environment: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.command = list(command)
        self.arguments = list(arguments)
        self.environment = dict(environment or {})

    @cached_property
    def hook(self) -> SubprocessHook:
        """Runs the process."""
        return SubprocessHook()

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        with TemporaryDirectory(prefix="undertone") as folder:
            summary = Path(folder) / "summary.json"
            program = [*self.command, *self.arguments, f"--summary={summary}"]
            try:
                result = self.hook.run_command(program, env={**os.environ, **self.environment})
            except FileNotFoundError:
                raise AirflowFailException(
                    f"the program {self.command[0]!r} does not exist on this worker: set the command of LocalRunner"
                ) from None
            if result.exit_code != 0:
                problem = f"undertone-batch ended with exit code {result.exit_code}: {result.output}"
                raise AirflowFailException(problem) if result.exit_code == USAGE_EXIT_CODE else AirflowException(problem)
            text = summary.read_text(encoding="utf-8")
            if reason := reason_of_skip(text):
                raise AirflowSkipException(reason)
            return counts_of_summary(text)

    def on_kill(self) -> None:
        self.hook.send_sigterm()
