"""`undertone-sidecar plan`: what to start the pod's processes with, for people and for scripts."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from undertone_sidecar.cpu.machine import Machine, read_machine
from undertone_sidecar.cpu.plan import Plan, oversubscribed, plan
from undertone_sidecar.cpu.settings import ThreadSettings
from undertone_sidecar.errors import SettingsError
from undertone_sidecar.flags import flag, read, variable, violations

_ABOUT: Final = """\
Reads what this container may compute with (cgroup quota, cpuset, hardware threads, instruction set) and prints thread counts
for the model server and the sidecar that go with it. Counts that are given are checked against it, as the sidecar does when
it starts.
"""

_MORE: Final = """\
Each flag can also be given in the environment, as to the sidecar: UNDERTONE_MODEL_SERVER_CPUS for --model-server-cpus.

examples:
  undertone-sidecar plan
  eval "$(undertone-sidecar plan --format shell)"; undertone-dev-server --model_base_path=models/emotions
  undertone-sidecar plan --json --model-server-cpus=1500m --batching=passthrough --model-calls=64

exit codes:
  0  printed           2  flags wrong, or more threads than the CPUs can run
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings(ThreadSettings):
    """Of one run of the command. Raises SettingsError."""

    format: str = field(
        default="text",
        metadata=flag("text, json, or shell: variables for eval", choices=("text", "json", "shell"), unit="FORMAT"),
    )
    json: bool = field(default=False, metadata=flag("the same as --format json"))
    root: Path = field(default=Path("/"), metadata=flag("where /proc and /sys are found"))

    def __post_init__(self) -> None:
        if problems := list(violations(self)):
            raise SettingsError("\n".join(problems))


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Prints the plan; returns the exit code. Raises SettingsError, also for more threads than CPUs."""
    settings = PlanSettings(
        **read(PlanSettings, arguments, environment, program="undertone-sidecar plan", about=_ABOUT, more=_MORE)
    )
    machine = read_machine(settings.root)
    problems = list(oversubscribed(machine, settings))
    if problems and not settings.auto:
        raise SettingsError("\n".join(problems))
    for problem in problems:
        print(f"undertone-sidecar: corrected: {problem}", file=sys.stderr)
    print(_FORMATS["json" if settings.json else settings.format](machine, plan(machine, settings)))
    return 0


def _text(machine: Machine, planned: Plan) -> str:
    isa = machine.instruction_set
    precision = "bf16 or fp32" if isa.has_bf16 else "fp32; bf16 would be computed in software, without AMX or AVX512-BF16"
    return (
        f"machine        {machine}\n"
        f"instructions   {isa.label} (for a model in {precision})\n"
        f"model server   {' '.join(planned.model_server_flags)}\n"
        f"sidecar        --tokenizer-threads={planned.tokenizers} --model-calls={planned.calls}"
    )


def _json(machine: Machine, planned: Plan) -> str:
    values = {
        "cpus": machine.cpus,
        "cpus_allowed": machine.allowed,
        "cpu_quota": machine.quota,
        "physical_cores": machine.cores,
        "instruction_set": machine.instruction_set.label,
        "bf16": machine.instruction_set.has_bf16,
        **{name.lower(): value for name, value in _counts(planned).items()},
        "model_server_flags": planned.model_server_flags,
    }
    return json.dumps(values, indent=2)


def _shell(_: Machine, planned: Plan) -> str:
    return "\n".join(f"export {variable(name)}={value}" for name, value in _counts(planned).items())


def _counts(planned: Plan) -> dict[str, int]:
    """By the names under which the processes read them from the environment, less the prefix."""
    return {
        "TENSORFLOW_INTRA_OP_PARALLELISM": planned.intra_op,
        "TENSORFLOW_INTER_OP_PARALLELISM": planned.inter_op,
        "GRPC_MAX_THREADS": planned.grpc_max_threads,
        "TOKENIZER_THREADS": planned.tokenizers,
        "MODEL_SERVER_THREADS": planned.intra_op,
        "MODEL_CALLS": planned.calls,
    }


_FORMATS: Final[Mapping[str, Callable[[Machine, Plan], str]]] = {"text": _text, "json": _json, "shell": _shell}
