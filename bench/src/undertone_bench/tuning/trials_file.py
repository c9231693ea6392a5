"""Trials in a file, so that an interrupted search continues."""

import json
from dataclasses import asdict
from pathlib import Path

from undertone_bench.conditions import Conditions, refuse_other_conditions
from undertone_bench.errors import BenchError
from undertone_bench.tuning.pod_setup import PodSetup
from undertone_bench.tuning.trial import Trial


class TrialsFile:
    """A file with a line of JSON for each trial.

    `conditions` are the options that change the result of a trial. They are written with each
    trial, and trials with other conditions are refused.
    """

    def __init__(self, path: Path, conditions: Conditions) -> None:
        self._path = path
        self._conditions = dict(conditions)

    def read(self) -> dict[PodSetup, Trial]:
        """The trials by setup; the last one of each setup. A line that was cut off is ignored.

        Raises:
            BenchError: There is no such file, or it has trials with other conditions.
        """
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            raise BenchError(f"{self._path} does not exist: measure first, without --resume") from None
        found = {}
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                continue
            try:
                record = json.loads(line)
                trial = Trial(PodSetup(**record["setup"]), record["rate"], record["other_cpus"])
                conditions = record["conditions"]
            except (ValueError, KeyError, TypeError):
                raise BenchError(f"{self._path}, line {number} is not a trial: remove the line, or the file") from None
            refuse_other_conditions(self._path, "trials", conditions, self._conditions, "measure again without --resume")
            found[trial.setup] = trial
        return found

    def clear(self) -> None:
        """Remove all trials."""
        self._path.write_text("", encoding="utf-8")

    def append(self, trial: Trial) -> None:
        """Write a trial. A line that was cut off before it is removed."""
        line = json.dumps(asdict(trial) | {"conditions": self._conditions}) + "\n"
        with self._path.open("r+b") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
            file.seek(0, 2)
            file.write(line.encode())
