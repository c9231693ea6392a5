"""Calibrations by name: the packaged ones, or those of files."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from undertone_planner.calibration import PodCalibration
from undertone_planner.errors import CalibrationError


@dataclass(frozen=True, slots=True)
class NamedCalibration:
    """A calibration with its origin.

    Attributes:
        name: The name of a packaged calibration, or the path of a file.
        calibration: The speed of the pod.
        origin: Where and when it was measured, for the output.
        measured_on: The node type of the packaged table whose cores are like those of its machine.
            None if it is unknown, as for a file, or the reference of the table.
    """

    name: str
    calibration: PodCalibration
    origin: str
    measured_on: str | None

    @classmethod
    def find(cls, name: str) -> "NamedCalibration":
        """A packaged calibration, or else the file `name`.

        Raises:
            CalibrationError: There is neither, or the file is invalid.
        """
        packaged = _packaged()
        if name in packaged:
            entry = packaged[name]
            calibration = PodCalibration.from_json((_folder() / "calibrations" / entry["file"]).read_text(encoding="utf-8"))
            origin = f"{entry['description']}; {entry['machine']}; {entry['date']}{_fit(calibration)}"
            return cls(name, calibration, origin, entry.get("like"))
        path = Path(name)
        if not path.is_file():
            similar = get_close_matches(name, packaged, n=1)
            hint = f"Did you mean {similar[0]!r}? " if similar else ""
            raise CalibrationError(
                f"there is no calibration {name!r}, neither a file nor a packaged one. {hint}The packaged ones are "
                f"{', '.join(packaged)}; 'undertone-bench pod' writes files"
            )
        calibration = PodCalibration.read(path)
        machine = calibration.machine
        origin = f"{calibration.model} ({calibration.precision}); {machine.cores} cores of {machine.cpu}{_fit(calibration)}"
        return cls(name, calibration, origin, None)


def packaged_names() -> tuple[str, ...]:
    """The names of the packaged calibrations."""
    return tuple(_packaged())


def _fit(calibration: PodCalibration) -> str:
    error = calibration.fit_error
    return f"; calls differ from a + b·tokens by {error:.0%} (median)" if error else ""


def _packaged() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads((_folder() / "calibrations.toml").read_text(encoding="utf-8"))


def _folder() -> Any:
    return files("undertone_planner.plan")
