"""The settings that decide about threads: the sidecar and its planner share them."""

import argparse
from dataclasses import dataclass, field
from typing import Final

from undertone_sidecar.flags import flag

PASSTHROUGH: Final = "passthrough"
TOKEN_BUDGET: Final = "token-budget"  # noqa: S105 — no password


def _cpus(text: str) -> float:
    """CPUs as Kubernetes writes them: "2", "1.5", "1500m"."""
    try:
        return int(text[:-1]) / 1000 if text.endswith("m") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of CPUs; write 1.5 or 1500m") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadSettings:
    """What is known of the pod's threads, and how many calls to the model server run at once."""

    batching: str = field(
        default=TOKEN_BUDGET,
        metadata=flag(
            "token-budget: the sidecar makes the batches; passthrough: each sequence is a call of its own, for a model server "
            "that makes them (TF Serving's --enable_batching)",
            choices=(TOKEN_BUDGET, PASSTHROUGH),
            unit="MODE",
        ),
    )
    model_calls: int = field(
        default=0,
        metadata=flag(
            "calls to the model server at once; 0 for as many as `undertone-sidecar plan` says: one for each of its CPUs; 16 "
            "with --batching passthrough. 1 gives all CPUs to each call",
            least=0,
            most=4096,
        ),
    )
    tokenizer_threads: int = field(
        default=0, metadata=flag("threads that tokenize; 0 for as many as `undertone-sidecar plan` says", least=0, most=64)
    )
    model_server_cpus: float = field(
        default=0.0,
        metadata=flag(
            "CPUs of the model server's container (2, 1500m); 0 if it runs on the sidecar's own",
            least=0.0,
            unit="CPUS",
            parse=_cpus,
        ),
    )
    model_server_threads: int = field(
        default=0,
        metadata=flag(
            "threads inside an operation that the model server was started with, to be checked; 0 if that is not known", least=0
        ),
    )
    auto: bool = field(
        default=False, metadata=flag("correct thread counts that are more than the CPUs can run, instead of refusing to start")
    )
