"""Duration of calls to a model server by their tokens: seconds = a + b x padded tokens."""

import itertools
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Final, Self

import numpy as np
from scipy.optimize import nnls

from undertone_bench.errors import BenchError
from undertone_bench.models import Batch, BenchModel, Ids, optimal_batches
from undertone_bench.pods import PredictClient

BUDGET_SHARES: Final = (1, 1 / 2, 1 / 4, 1 / 16)
"""Sizes of the measured calls, as shares of the maximum. Single sequences are measured, too."""


@dataclass(frozen=True, slots=True)
class CallSample:
    """A call with this many padded tokens, and its duration."""

    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CallTime:
    """A fitted duration: `seconds_per_call` + `seconds_per_token` x padded tokens.

    `error` is the median of the relative errors, one for each size of the samples.
    """

    seconds_per_call: float
    seconds_per_token: float
    error: float

    def seconds(self, tokens: float) -> float:
        return self.seconds_per_call + self.seconds_per_token * tokens

    def __str__(self) -> str:
        return f"{self.seconds_per_call * 1e3:.2f} ms + {self.seconds_per_token * 1e6:.1f} µs for each token"

    @classmethod
    def fit(cls, samples: Iterable[CallSample]) -> Self:
        """Least squares of the relative errors, with coefficients of at least 0.

        The median stands for all samples of one size, so that outliers do not count.

        Raises:
            BenchError: There are fewer than two sizes.
        """
        by_tokens: defaultdict[int, list[float]] = defaultdict(list)
        for sample in samples:
            by_tokens[sample.tokens].append(sample.seconds)
        if len(by_tokens) < 2:
            raise BenchError(f"calls of {len(by_tokens)} sizes were measured, but two are needed: increase --seconds")
        tokens = np.array(list(by_tokens), np.float64)
        seconds = np.array([median(of_size) for of_size in by_tokens.values()])
        # Relative errors, because a short call would otherwise not count beside a long one.
        (per_call, per_token), _ = nnls(np.column_stack([1 / seconds, tokens / seconds]), np.ones(len(seconds)))
        errors = np.abs((per_call + per_token * tokens) / seconds - 1)
        return cls(float(per_call), float(per_token), float(np.median(errors)))


def sample_batches(sequences: Sequence[Ids], budget: int, calls: int, *, seed: int = 7) -> list[Batch]:
    """About `calls` batches of several sizes up to `budget` padded tokens, in random order.

    They have the sequences' own lengths, because the cost of attention grows with their
    square.
    """
    groups = [optimal_batches(sequences, max(1, int(budget * share))) for share in BUDGET_SHARES]
    groups.append([Batch.of([ids]) for ids in sequences])
    count = max(1, calls // len(groups))
    batches = []
    for group in groups:
        ordered = sorted(group, key=lambda batch: batch.input_ids.size)
        batches += [ordered[int((index + 0.5) * len(ordered) / count)] for index in range(min(count, len(ordered)))]
    random.Random(seed).shuffle(batches)
    return batches


def measure_calls(
    target: str,
    model: BenchModel,
    batches: Sequence[Batch],
    *,
    calls: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[CallSample]:
    """Samples of `calls` callers, who send the batches in turn for `seconds`, but at least once.

    Each batch is sent once before, because the first calls at each length are slow.
    """
    client = PredictClient(target, model)
    with ThreadPoolExecutor(calls) as pool:
        try:
            list(pool.map(client.predict, batches))
            end, lock, numbers = clock() + seconds, threading.Lock(), itertools.count()

            def call(_: int) -> list[CallSample]:
                samples: list[CallSample] = []
                while True:
                    with lock:
                        number = next(numbers)
                    started = clock()
                    if number >= len(batches) and started >= end:
                        return samples
                    batch = batches[number % len(batches)]
                    client.predict(batch)
                    samples.append(CallSample(batch.input_ids.size, clock() - started))

            return [sample for samples in pool.map(call, range(calls)) for sample in samples]
        finally:
            client.close()
