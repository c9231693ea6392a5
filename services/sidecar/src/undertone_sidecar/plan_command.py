"""The command undertone-sidecar plan."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click
from undertone_telemetry.options import ENVIRONMENT_PREFIX, option_group

from undertone_sidecar.cpu import Machine, ThreadPlan, ThreadSettings, oversubscription, plan_threads, read_machine
from undertone_sidecar.errors import SettingsError
from undertone_sidecar.settings_options import CONTEXT_SETTINGS, removed_options, thread_options


def _core_note(machine: Machine, settings: ThreadSettings) -> str:
    """A line about the model server's physical cores. Empty without hyper-threading."""
    if machine.threads_per_core == 1:
        return ""
    cpus = settings.model_server_cpus or machine.cpus
    return (
        f"cores          {cpus:g} CPUs are {cpus:g} hardware threads: as fast as {machine.busy_cores(cpus):g} physical cores "
        f"while all hardware threads of the machine are busy (--threads-per-core={machine.threads_per_core} plans for that)\n"
    )


def _text(machine: Machine, settings: ThreadSettings, planned: ThreadPlan) -> str:
    instruction_set = machine.instruction_set
    precision = "bf16 or fp32" if instruction_set.has_bf16 else "fp32; bf16 is emulated without AMX or AVX512-BF16"
    return (
        f"machine        {machine}\n"
        f"{_core_note(machine, settings)}"
        f"instructions   {instruction_set.label} (for a model in {precision})\n"
        f"model server   {' '.join(planned.model_server_flags)}\n"
        f"sidecar        --tokenizer-threads={planned.tokenizers} --model-calls={planned.model_calls}"
    )


def _json(machine: Machine, settings: ThreadSettings, planned: ThreadPlan) -> str:
    values = {
        "cpus": machine.cpus,
        "cpus_allowed": machine.allowed,
        "cpu_quota": machine.quota,
        "physical_cores": machine.cores,
        "threads_per_core": machine.threads_per_core,
        "busy_physical_cores": machine.busy_cores(settings.model_server_cpus or machine.cpus),
        "instruction_set": machine.instruction_set.label,
        "bf16": machine.instruction_set.has_bf16,
        **{name.lower(): value for name, value in _variables(planned).items()},
        "model_server_flags": planned.model_server_flags,
    }
    return json.dumps(values, indent=2)


def _shell(_: Machine, __: ThreadSettings, planned: ThreadPlan) -> str:
    return "\n".join(f"export {ENVIRONMENT_PREFIX}{name}={value}" for name, value in _variables(planned).items())


def _variables(planned: ThreadPlan) -> dict[str, int]:
    """The environment variables of both processes, without their prefix."""
    return {
        "TENSORFLOW_INTRA_OP_PARALLELISM": planned.intra_op,
        "TENSORFLOW_INTER_OP_PARALLELISM": planned.inter_op,
        "GRPC_MAX_THREADS": planned.grpc_max_threads,
        "TOKENIZER_THREADS": planned.tokenizers,
        "MODEL_SERVER_THREADS": planned.intra_op,
        "MODEL_CALLS": planned.model_calls,
    }


_FORMATS: Final[Mapping[str, Callable[[Machine, ThreadSettings, ThreadPlan], str]]] = {
    "text": _text,
    "json": _json,
    "shell": _shell,
}


@click.command(
    "plan",
    context_settings=CONTEXT_SETTINGS,
    epilog="""\b
Examples:
  undertone-sidecar plan
  eval "$(undertone-sidecar plan --format shell)"
  undertone-sidecar plan --json --model-server-cpus=3500m --model-calls=1

\b
Exit codes:
  0  printed
  2  invalid option, or more threads than CPUs""",
)
@option_group("settings", ThreadSettings, *thread_options())
@removed_options
@click.option(
    "--format",
    "output_format",
    envvar=f"{ENVIRONMENT_PREFIX}FORMAT",
    show_envvar=True,
    type=click.Choice(tuple(_FORMATS)),
    default="text",
    show_default=True,
    help="Output format. shell prints variables for eval.",
)
@click.option(
    "--json",
    "use_json",
    envvar=f"{ENVIRONMENT_PREFIX}JSON",
    show_envvar=True,
    type=click.BOOL,
    is_flag=False,
    flag_value="true",
    default=False,
    metavar="[true|false]",
    help="The same as --format json.",
)
@click.option(
    "--root",
    envvar=f"{ENVIRONMENT_PREFIX}ROOT",
    show_envvar=True,
    type=click.Path(path_type=Path),
    default="/",
    show_default=True,
    metavar="DIR",
    help="Folder that contains /proc and /sys.",
)
def plan(settings: ThreadSettings, *, output_format: str, use_json: bool, root: Path) -> int:
    """Print thread counts for the model server and the sidecar that fit the CPUs of this container.

    Reads the cgroup quota, the cpuset, the hardware threads and the instruction set. Also checks
    the thread counts given as options, as the sidecar does at start.
    """
    machine = read_machine(root)
    problems = list(oversubscription(machine, settings))
    if problems and not settings.auto:
        raise SettingsError("\n".join(problems))
    for problem in problems:
        print(f"undertone-sidecar: corrected: {problem}", file=sys.stderr)
    print(_FORMATS["json" if use_json else output_format](machine, settings, plan_threads(machine, settings)))
    return 0
