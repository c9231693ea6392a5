"""Inference in a process of its own, through a TensorFlow Session or with OpenVINO.

The parent process does not load TensorFlow, whose threads would disturb its measurements.
"""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self
from unittest.mock import patch

from undertone_dev_server.settings import recommended_environment
from undertone_model.startup import quiet_tensorflow
from undertone_sidecar.cpu import ThreadSettings, plan_threads, read_machine

from undertone_bench.models import Batch
from undertone_bench.processes import ProcessUsage, peak_resident_bytes

PEAK_SHAPE: Final = (1024, 768, 3072)
"""Rows, inner dimension and columns of the matrix product that measures a machine's peak speed."""

_PEAK_SECONDS: Final = 1.0

_engines: dict[str, "_Engine"] = {}
_empty_bytes = 0
"""Resident memory of the process before it has loaded a model."""


class _Compute(Protocol):
    def __call__(self, batch: Batch) -> object: ...


@dataclass(frozen=True, slots=True)
class _Engine:
    """A function that computes a batch, and the number of concurrent calls."""

    compute: _Compute
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class ComputeTime:
    """Elapsed seconds for all batches, and CPU seconds of all threads."""

    seconds: float
    cpu_seconds: float


class InferenceWorker:
    """A process with one model, which it loads upon the first call."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        """`variables` is the environment of the process.

        By default, it is the recommended environment of a model server, overridden by this
        process's environment.
        """
        self._folder = folder
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_load_tensorflow)
        # The process starts upon the first call; the memory allocator reads its variables then.
        environment = {**recommended_environment(), **os.environ} if variables is None else variables
        with patch.dict(os.environ, environment, clear=True):
            self._pool.submit(os.getpid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._pool.shutdown()

    def peak(self, dtype: str) -> float:
        """Operations per second of the PEAK_SHAPE matrix product, best of many runs.

        `dtype` is `float32` or `bfloat16`.
        """
        return self._pool.submit(_peak, dtype).result()

    def compute(self, engine: str, batches: Sequence[Batch]) -> ComputeTime:
        """Compute the batches with one of three engines.

        `session`: TensorFlow with its default number of threads, one batch after the other.
        `pod`: TensorFlow with the threads and concurrent calls of `undertone-sidecar plan`.
        `openvino`: OpenVINO, one batch after the other.

        The first Session of a process sets the threads of all: use a separate worker for `pod`.
        """
        return self._pool.submit(_compute, engine, self._folder, batches).result()

    def memory_growth(self, batches: Sequence[Batch]) -> int:
        """Bytes by which the process has grown at its peak, since it loaded TensorFlow.

        Computes the batches as the engine `pod` first. The weights and the buffers that earlier
        calls left count, too.
        """
        return self._pool.submit(_memory_growth, self._folder, batches).result()


def has_openvino() -> bool:
    """Whether the package openvino is installed."""
    return find_spec("openvino") is not None


def _load_tensorflow() -> None:
    with quiet_tensorflow():
        import tensorflow  # noqa: F401


def _peak(dtype: str) -> float:
    import tensorflow as tf

    rows, inner, columns = PEAK_SHAPE
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        # Variables, because TensorFlow folds products of constants when it optimizes the graph.
        left, right = (tf.compat.v1.Variable(tf.ones(shape, dtype)) for shape in ((rows, inner), (inner, columns)))
        # The operation instead of its output, which would be copied.
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


def _compute(name: str, folder: Path, batches: Sequence[Batch]) -> ComputeTime:
    engine = _engines.get(name) or _engines.setdefault(name, _LOADERS[name](folder))
    started, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(engine.concurrency) as pool:
        list(pool.map(engine.compute, batches))
    return ComputeTime(time.perf_counter() - started, time.process_time() - cpu)


def _memory_growth(folder: Path, batches: Sequence[Batch]) -> int:
    global _empty_bytes
    if not _empty_bytes:
        _empty_bytes = ProcessUsage.read(os.getpid()).resident_bytes
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Resets the peak.
    _compute("pod", folder, batches)
    return peak_resident_bytes(os.getpid()) - _empty_bytes


def _session_engine(folder: Path) -> _Engine:
    return _Engine(_load_saved_model(folder, 0, 0))


def _pod_engine(folder: Path) -> _Engine:
    planned = plan_threads(read_machine(), ThreadSettings())
    return _Engine(_load_saved_model(folder, planned.intra_op, planned.inter_op), planned.model_calls)


def _load_saved_model(folder: Path, intra_op: int, inter_op: int) -> _Compute:
    from undertone_dev_server.saved_model import SavedModelLoader

    model = SavedModelLoader(intra_op, inter_op)(folder)
    signature = model.signatures["serving_default"]
    ids, mask = (signature.inputs[name].name for name in ("input_ids", "attention_mask"))
    output = signature.outputs["probabilities"].name
    return lambda batch: model.run([output], {ids: batch.input_ids, mask: batch.attention_mask}, None)


def _openvino_engine(folder: Path) -> _Engine:
    core: Any = import_module("openvino").Core()  # an extra of this package
    compiled = core.compile_model(core.read_model(folder), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    return _Engine(lambda batch: compiled({"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}))


_LOADERS: Final = {"session": _session_engine, "pod": _pod_engine, "openvino": _openvino_engine}
