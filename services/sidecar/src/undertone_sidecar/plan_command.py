"""The command undertone-sidecar plan."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from undertone_telemetry.options import ENVIRONMENT_PREFIX, field_option, option_group

from undertone_sidecar.contract import CONTRACT_FILE, Contract, read_contract
from undertone_sidecar.cpu import Machine, ThreadPlan, ThreadSettings, oversubscription, plan_threads, read_machine
from undertone_sidecar.errors import ContractError, SettingsError
from undertone_sidecar.memory import MemoryEstimate, MemorySettings, model_server_memory
from undertone_sidecar.settings import Settings
from undertone_sidecar.settings_options import CONTEXT_SETTINGS, removed_options, thread_options


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What the command prints. `contract` and `memory` are None without --model-dir."""

    machine: Machine
    settings: ThreadSettings
    threads: ThreadPlan
    contract: Contract | None
    memory: MemoryEstimate | None

    @property
    def variables(self) -> dict[str, int]:
        """The environment variables of both processes, without their prefix."""
        memory = None if self.settings.model_server_cpus else model_server_memory(self.machine)
        return {
            "TENSORFLOW_INTRA_OP_PARALLELISM": self.threads.intra_op,
            "TENSORFLOW_INTER_OP_PARALLELISM": self.threads.inter_op,
            "GRPC_MAX_THREADS": self.threads.grpc_max_threads,
            "TOKENIZER_THREADS": self.threads.tokenizers,
            "MODEL_SERVER_THREADS": self.threads.intra_op,
            "MODEL_CALLS": self.threads.model_calls,
            **({} if memory is None else {"MODEL_SERVER_MEMORY": memory}),
        }


def _core_note(machine: Machine, settings: ThreadSettings) -> str:
    """A line about the model server's physical cores. Empty without hyper-threading."""
    if machine.threads_per_core == 1:
        return ""
    cpus = settings.model_server_cpus or machine.cpus
    return (
        f"cores          {cpus:g} CPUs are {cpus:g} hardware threads: as fast as {machine.busy_cores(cpus):g} physical cores "
        f"while all hardware threads of the machine are busy (--threads-per-core={machine.threads_per_core} plans for that)\n"
    )


def _memory_note(plan: _Plan) -> str:
    """A line about the model server's memory. Empty without a model."""
    if plan.contract is None:
        return ""
    memory = "unknown, because contract.json does not describe the architecture" if plan.memory is None else str(plan.memory)
    return f"\nmemory         {memory}, for {plan.contract.name} version {plan.contract.version}"


def _text(plan: _Plan) -> str:
    machine, threads = plan.machine, plan.threads
    instruction_set = machine.instruction_set
    precision = "bf16 or fp32" if instruction_set.has_bf16 else "fp32; bf16 is emulated without AMX or AVX512-BF16"
    return (
        f"machine        {machine}\n"
        f"{_core_note(machine, plan.settings)}"
        f"instructions   {instruction_set.label} (for a model in {precision})\n"
        f"model server   {' '.join(threads.model_server_flags)}\n"
        f"sidecar        --tokenizer-threads={threads.tokenizers} --model-calls={threads.model_calls}"
        f"{_memory_note(plan)}"
    )


def _json(plan: _Plan) -> str:
    machine = plan.machine
    values = {
        "cpus": machine.cpus,
        "cpus_allowed": machine.allowed,
        "cpu_quota": machine.quota,
        "physical_cores": machine.cores,
        "threads_per_core": machine.threads_per_core,
        "busy_physical_cores": machine.busy_cores(plan.settings.model_server_cpus or machine.cpus),
        "instruction_set": machine.instruction_set.label,
        "bf16": machine.instruction_set.has_bf16,
        "memory_bytes": machine.memory,
        **{name.lower(): value for name, value in plan.variables.items()},
        "model_server_flags": plan.threads.model_server_flags,
        "estimated_memory_bytes": plan.memory.total if plan.memory else None,
    }
    return json.dumps(values, indent=2)


def _shell(plan: _Plan) -> str:
    return "\n".join(f"export {ENVIRONMENT_PREFIX}{name}={value}" for name, value in plan.variables.items())


_FORMATS: Final[Mapping[str, Callable[[_Plan], str]]] = {"text": _text, "json": _json, "shell": _shell}


def _newest_contract(folder: Path) -> Contract:
    """The contract of the newest version. Raises ContractError."""
    versions = [int(path.parent.name) for path in folder.glob(f"*/{CONTRACT_FILE}") if path.parent.name.isdecimal()]
    if not versions:
        raise ContractError(
            f"--model-dir {folder}: no version has a {CONTRACT_FILE}: use the folder that contains the versions"
        )
    return read_contract(folder / str(max(versions)), name=folder.absolute().name)


@click.command(
    "plan",
    context_settings=CONTEXT_SETTINGS,
    epilog="""\b
Examples:
  undertone-sidecar plan
  eval "$(undertone-sidecar plan --format shell)"
  undertone-sidecar plan --json --model-server-cpus=3500m --model-calls=1
  undertone-sidecar plan --model-dir models/emotions

\b
Exit codes:
  0  printed
  2  invalid option, or more threads than CPUs
  3  invalid contract""",
)
@option_group("settings", ThreadSettings, *thread_options())
@removed_options
@click.option(
    "--model-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the model. Also prints the memory that the model server needs for its newest version.",
)
@field_option(Settings, "batch_tokens")
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
def plan(
    settings: ThreadSettings, *, model_dir: Path | None, batch_tokens: int, output_format: str, use_json: bool, root: Path
) -> int:
    """Print thread counts for the model server and the sidecar that fit the CPUs of this container.

    Reads the cgroup quota, the cpuset, the hardware threads and the instruction set. Also checks
    the thread counts given as options, as the sidecar does at start.

    With --model-dir, it also prints an estimate of the memory that the model server needs.
    """
    machine = read_machine(root)
    problems = list(oversubscription(machine, settings))
    if problems and not settings.auto:
        raise SettingsError("\n".join(problems))
    for problem in problems:
        print(f"undertone-sidecar: corrected: {problem}", file=sys.stderr)
    threads = plan_threads(machine, settings)
    contract = _newest_contract(model_dir) if model_dir else None
    memory = MemorySettings(0, batch_tokens, threads.model_calls).estimate(contract) if contract else None
    planned = _Plan(machine=machine, settings=settings, threads=threads, contract=contract, memory=memory)
    print(_FORMATS["json" if use_json else output_format](planned))
    return 0
