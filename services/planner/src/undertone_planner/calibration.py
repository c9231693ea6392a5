"""The measured speed of a pod, which `undertone-bench pod` writes and the fleet model reads."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from undertone_planner.errors import CalibrationError
from undertone_planner.json_record import RecordError, read_record

VERSION: Final = 1
"""The version of the file format that this package reads and writes."""

_REMEASURE: Final = "write a new file with 'undertone-bench pod'"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedMachine:
    """The machine of a measurement.

    Attributes:
        cpu: Name of the CPU, as in /proc/cpuinfo.
        cores: Physical cores.
        flags: Instruction sets that the model server can use, such as avx512_vnni or amx_bf16.
    """

    cpu: str
    cores: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCalibration:
    """The speed of one pod.

    A call to the model server takes `seconds_per_call` + `seconds_per_token` x padded tokens, while
    `model_calls` such calls run at once. So a saturated pod computes
    `model_calls` / (`seconds_per_call` / `batch_tokens` + `seconds_per_token`) tokens per second.

    Attributes:
        machine: Where it was measured.
        model: Name of the model.
        precision: Precision of the graph: fp32 or bf16.
        cpus: CPUs of the pod, both containers together.
        seconds_per_call: Fixed duration of a call to the model server.
        seconds_per_token: Additional duration for each padded token of the call.
        model_calls: Calls to the model server at once, as the sidecar's --model-calls.
        batch_tokens: Maximum padded tokens of a call, as the sidecar's --batch-tokens.
        load_seconds: From the start of the containers until the model is loaded.
        warmup_seconds: From then on until the pod is ready.
        memory_bytes: Highest memory of the pod under load, both containers together.
        sample_tokens: Padded tokens of the measured calls, ascending. Durations of longer or
            shorter calls are extrapolated.
        fit_error: Relative error of the formula for the measured calls, the median of their sizes.
            0 if it is unknown.

    Raises:
        CalibrationError: A number is out of its range.
    """

    machine: CalibratedMachine
    model: str
    precision: str
    cpus: float
    seconds_per_call: float
    seconds_per_token: float
    model_calls: int
    batch_tokens: int
    load_seconds: float
    warmup_seconds: float
    memory_bytes: int
    sample_tokens: tuple[int, ...] = ()
    fit_error: float = 0.0

    def __post_init__(self) -> None:
        for name in ("cpus", "seconds_per_token", "model_calls", "batch_tokens"):
            if not 0 < getattr(self, name) < math.inf:
                raise CalibrationError(f"{name} is {getattr(self, name)}: use a finite number above 0")
        for name in ("seconds_per_call", "load_seconds", "warmup_seconds", "memory_bytes", "fit_error"):
            if not 0 <= getattr(self, name) < math.inf:
                raise CalibrationError(f"{name} is {getattr(self, name)}: use a finite number of at least 0")

    @property
    def tokens_per_second(self) -> float:
        """Padded tokens per second of a saturated pod, in full calls."""
        return self.model_calls / (self.seconds_per_call / self.batch_tokens + self.seconds_per_token)

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`.

        Raises:
            CalibrationError: The text is not JSON, has another version, lacks a field, or has an
                unknown field or a value of the wrong type.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise CalibrationError(f"not JSON ({error}): {_REMEASURE}") from None
        if not isinstance(document, dict):
            raise CalibrationError(f"a JSON object is expected, not {type(document).__name__}: {_REMEASURE}")
        version = document.pop("version", None)
        if type(version) is not int or version != VERSION:
            found = "no version" if version is None else f"version {version!r}"
            remedy = "upgrade undertone-planner" if type(version) is int and version > VERSION else _REMEASURE
            raise CalibrationError(f"the calibration has {found}, this release reads version {VERSION}: {remedy}")
        try:
            return read_record(cls, document)
        except RecordError as error:
            raise CalibrationError(f"{error}: correct it, or {_REMEASURE}") from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file. Raises CalibrationError, which names the file, as `from_json` does."""
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise CalibrationError(f"{path} cannot be read ({error.strerror}): {_REMEASURE}") from None
        except UnicodeDecodeError as error:
            raise CalibrationError(f"{path}: not text in UTF-8 ({error}): {_REMEASURE}") from None
        except CalibrationError as error:
            raise CalibrationError(f"{path}: {error}") from None

    def write(self, path: Path) -> None:
        """Write the file that `read` reads."""
        path.write_text(self.to_json(), encoding="utf-8")
