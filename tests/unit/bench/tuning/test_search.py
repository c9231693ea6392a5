import math
import random

import pytest
from undertone_bench.tuning.pod_setup import PodSetup, all_setups
from undertone_bench.tuning.search import Search
from undertone_bench.tuning.trial import Trial, search

SETUPS = all_setups(precisions=("fp32", "bf16"), cpus=(2, 4))


def surface(seed: int) -> dict[PodSetup, float]:
    """Rates of all setups of a machine that the seed invents.

    Threads inside operations follow Amdahl's law, more threads than CPUs cost time, a call has a
    fixed cost, large batches leave the cache, and bf16 and oneDNN are factors that depend on each
    other.
    """
    source = random.Random(seed)
    parallel, switching, cache = source.uniform(0.6, 0.98), source.uniform(0, 0.3), source.uniform(0, 0.05)
    overhead, best_tokens = source.choice([16, 64, 200, 400]), source.choice([1024, 2048, 4096])
    bf16, onednn, both = source.uniform(0.7, 3.3), source.uniform(0.7, 1.8), source.uniform(0.8, 1.2)
    small_pod = source.uniform(0.9, 1.15)

    def rate(setup: PodSetup) -> float:
        used = setup.calls * setup.threads / setup.cpus
        speedup = 1 / (1 - parallel + parallel / setup.threads)
        found = setup.calls * speedup * min(1, 1 / used) * (1 - switching * max(0.0, math.log2(used)) / 4)
        found *= setup.batch_tokens / (overhead + setup.batch_tokens)
        found *= math.exp(-cache * max(0.0, math.log2(setup.batch_tokens / best_tokens)) ** 2)
        found *= (bf16 if setup.precision == "bf16" else 1) * (onednn if setup.onednn else 1)
        found *= both if setup.precision == "bf16" and setup.onednn else 1
        return found * (small_pod if setup.cpus == 2 else 1)

    return {setup: rate(setup) for setup in SETUPS}


@pytest.mark.parametrize("seed", range(12))
def test_a_tenth_of_the_setups_finds_one_within_five_percent_of_the_best_despite_noise(seed: int) -> None:
    rates, noise = surface(seed), random.Random(seed)

    def measured(setup: PodSetup) -> Trial:
        return Trial(setup, rates[setup] * noise.gauss(1, 0.02))

    trials = search(SETUPS, measured, len(SETUPS) // 10)
    assert len({trial.setup for trial in trials}) == len(SETUPS) // 10
    assert trials[0].setup == PodSetup("fp32", 4, calls=4, threads=1)
    chosen = max(trials, key=lambda trial: trial.rate_per_cpu).setup
    best = max(rates[setup] / setup.cpus for setup in SETUPS)
    assert rates[chosen] / chosen.cpus >= 0.95 * best


def test_a_search_ends_when_all_setups_are_measured() -> None:
    setups = SETUPS[:9]
    trials = search(setups, lambda setup: Trial(setup, float(setup.batch_tokens)), 100)
    assert {trial.setup for trial in trials} == set(setups)


def test_setups_that_fail_do_not_stop_the_search() -> None:
    def measured(setup: PodSetup) -> Trial:
        return Trial(setup, 0.0 if setup.batch_tokens > 2048 else setup.batch_tokens * (2.0 if setup.onednn else 1.0))

    trials = search(SETUPS, measured, 24)
    best = max(trials, key=lambda trial: trial.rate)
    assert (best.setup.batch_tokens, best.setup.onednn) == (2048, True)
    failed = Search([[0.0], [1.0]])
    failed.record(0, 0.0)
    assert failed.propose() == 1
