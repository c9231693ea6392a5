"""Setup for all tests, and the chart with the helm that renders it."""

import gc
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings
from undertone_bench.chart import Chart, find_helm

from tests.chart.support.paths import CHART

# A shell starts background jobs with SIGINT ignored, and the tests' child processes would inherit
# this.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Hypothesis's deadline for an example would make the tests depend on the speed of the machine.
settings.register_profile("undertone", deadline=None)
settings.load_profile("undertone")

# Imports and collection allocate millions of objects that live to the end. To search them for
# garbage again and again takes a fifth of the CPU time of the collection.
gc.disable()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Enables the garbage collector after the collection. It leaves out the objects that exist.

    It runs less often than by default: tests with TensorFlow then need 2 to 5 % less CPU time.
    """
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Moves the tests of Spark to the front, so that one Java process runs them.

    Each worker of xdist begins with a part of the tests, and idle workers take tests from the end
    of another part. So one worker runs the first tests.
    """
    spark = Path(__file__).parent / "integration/spark"
    items.sort(key=lambda item: spark not in item.path.parents)


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of helm."""
    return find_helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def chart(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """The chart. Each set of values is rendered once in a session."""
    return Chart(helm, tmp_path_factory.mktemp("home"), CHART)
