"""Computing in a process of its own: through a TensorFlow Session, as the model server does, and with OpenVINO.

The parent stays without TensorFlow, whose threads would be in the way of what it measures.
"""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self
from unittest.mock import patch

from undertone_dev_server.settings import recommended_environment
from undertone_model.cli.startup import quiet_tensorflow
from undertone_sidecar.cpu import ThreadSettings, plan_threads, read_machine

from undertone_bench.served import Batch

PEAK_SHAPE: Final = (1024, 768, 3072)
"""Rows, inner and columns of the matrix product that stands for what a machine can do at best."""

_PEAK_SECONDS: Final = 1.0

_engines: dict[str, "_Engine"] = {}


class _Compute(Protocol):
    def __call__(self, batch: Batch) -> object: ...


@dataclass(frozen=True, slots=True)
class _Engine:
    """What computes a batch, and how many it is given at once."""

    compute: _Compute
    calls: int = 1


@dataclass(frozen=True, slots=True)
class Computed:
    """How long batches took together, and the CPU seconds of all threads."""

    seconds: float
    cpu_seconds: float


class Worker:
    """The process, with one model, which is not loaded before the first call that needs it."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        """`variables` is the process's environment. Default: this one's and, beneath it, that of a pod's model server."""
        self._folder = folder
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_quiet)
        # The allocator reads its part when the process begins, which is upon the first call.
        with patch.dict(
            os.environ, {**recommended_environment(), **os.environ} if variables is None else variables, clear=True
        ):
            self._pool.submit(os.getpid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._pool.shutdown()

    def peak(self, precision: str) -> float:
        """Operations a second of the matrix product of PEAK_SHAPE, at best of many, in `float32` or `bfloat16`."""
        return self._pool.submit(_peak, precision).result()

    def compute(self, engine: str, batches: Sequence[Batch]) -> Computed:
        """Runs the batches: with the engine `session` (TensorFlow's own choice of threads) or `openvino` one after the other;
        with `pod` as a pod's model server does, with the threads, and as many at once, as are planned for this machine.

        The first Session of a process decides on the threads of all: have another worker for `pod` than for anything else.
        """
        return self._pool.submit(_compute, engine, self._folder, batches).result()


def has_openvino() -> bool:
    """Whether the package is installed."""
    return find_spec("openvino") is not None


def _quiet() -> None:
    """TensorFlow remarks on the machine and on its own future, which is not what is asked here."""
    with quiet_tensorflow():
        import tensorflow  # noqa: F401


def _peak(precision: str) -> float:
    import tensorflow as tf

    rows, inner, columns = PEAK_SHAPE
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        # Variables, as products of constants would be computed once, when the graph is optimized.
        left, right = (tf.compat.v1.Variable(tf.ones(shape, precision)) for shape in ((rows, inner), (inner, columns)))
        # The operation and not its result, which nobody wants copied.
        product = tf.matmul(left, right).op
        session.run(tf.compat.v1.global_variables_initializer())
        run = session.make_callable(product)
        run()
        best = float("inf")
        end = time.perf_counter() + _PEAK_SECONDS
        while (started := time.perf_counter()) < end:
            run()
            best = min(best, time.perf_counter() - started)
    return 2 * rows * inner * columns / best


def _compute(name: str, folder: Path, batches: Sequence[Batch]) -> Computed:
    engine = _engines.get(name) or _engines.setdefault(name, _LOADERS[name](folder))
    started, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(engine.calls) as pool:
        list(pool.map(engine.compute, batches))
    return Computed(time.perf_counter() - started, time.process_time() - cpu)


def _session(folder: Path) -> _Engine:
    return _Engine(_loaded(folder, 0, 0))


def _pod(folder: Path) -> _Engine:
    planned = plan_threads(read_machine(), ThreadSettings())
    return _Engine(_loaded(folder, planned.intra_op, planned.inter_op), planned.model_calls)


def _loaded(folder: Path, intra_op: int, inter_op: int) -> _Compute:
    from undertone_dev_server.saved_model import SavedModelLoader

    model = SavedModelLoader(intra_op, inter_op)(folder)
    signature = model.signatures["serving_default"]
    ids, mask = (signature.inputs[name].name for name in ("input_ids", "attention_mask"))
    output = signature.outputs["probabilities"].name
    return lambda batch: model.run([output], {ids: batch.input_ids, mask: batch.attention_mask}, None)


def _openvino(folder: Path) -> _Engine:
    import openvino

    core: Any = openvino.Core()
    compiled = core.compile_model(core.read_model(folder), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    return _Engine(lambda batch: compiled({"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}))


_LOADERS: Final = {"session": _session, "pod": _pod, "openvino": _openvino}
