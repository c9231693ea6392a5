"""Fixtures: a shared pod, launchers for further processes, and the logs of processes in failure
reports.
"""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from undertone_cli.__main__ import undertone as undertone_command

from tests.integration.support.background_service import BackgroundService
from tests.integration.support.processes import ENVIRONMENT, TIMEOUT_SECONDS, Launcher, ModelServer, Sidecar, running
from tests.integration.support.shared_folder import shared_folder

LOG_CHARACTERS = 10_000

Command = Callable[..., Result]


@dataclass(frozen=True, slots=True)
class Pod:
    """A model server, its sidecar, and the folder of the model's versions."""

    base: Path
    model_server: ModelServer
    sidecar: Sidecar


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        report.sections += [(f"log of {process.name} ({process.pid})", process.log[-LOG_CHARACTERS:]) for process in running]
    return report


@pytest.fixture(scope="session", autouse=True)
def _handle_sigterm_as_interrupt() -> Iterator[None]:
    """Handles SIGTERM, which CI sends, like Ctrl-C, so that all processes are stopped."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder emotions/ with versions 1 and 2 of a tiny model, beside multi-label/emotions/.

    The results of the two versions differ for every text.
    """

    def export(folder: Path) -> None:
        program = [sys.executable, str(Path(__file__).parent / "support/tiny_models.py"), str(folder)]
        result = subprocess.run(program, check=False, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        assert result.returncode == 0, result.stderr

    return shared_folder(tmp_path_factory, "models", export) / "emotions"


@pytest.fixture(scope="session")
def base(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder emotions/ with version 1 only. Read-only."""
    folder = tmp_path_factory.mktemp("base") / "emotions"
    shutil.copytree(exports / "1", folder / "1")
    return folder


@pytest.fixture(scope="package")
def pod(base: Path) -> Iterator[Pod]:
    """The pod that all tests of this folder share.

    Tests may call and pause it, but must not change it otherwise. It ends with the tests of this
    folder, because its polling needs 3 % of a core.
    """
    with Launcher() as launch:
        server = launch.model_server(base)
        yield Pod(base, server, launch.sidecar(base, server.target).until_serving())


@pytest.fixture(scope="module")
def multi_label_pod(exports: Path) -> Iterator[Pod]:
    """A pod with a multi-label model."""
    base = exports.parent / "multi-label" / "emotions"
    with Launcher() as launch:
        server = launch.model_server(base)
        yield Pod(base, server, launch.sidecar(base, server.target).until_serving())


@pytest.fixture(scope="module")
def own_pod(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """A pod for the tests of one module, which must restore what they change."""
    folder = tmp_path_factory.mktemp("own") / "emotions"
    shutil.copytree(base, folder)
    with Launcher() as launch:
        server = launch.model_server(folder)
        yield Pod(folder, server, launch.sidecar(folder, server.target).until_serving())


@pytest.fixture
def launch() -> Iterator[Launcher]:
    """Starts processes that are stopped after the test."""
    with Launcher() as launcher:
        yield launcher


@pytest.fixture
def service() -> Iterator[BackgroundService]:
    """A scripted service with its own thread."""
    service = BackgroundService()
    yield service
    service.close()


@pytest.fixture
def undertone(pod: Pod) -> Command:
    """Runs `undertone ARGUMENTS...` against the shared pod, with `stdin` as standard input."""
    return runner(pod)


def runner(pod: Pod) -> Command:
    """Runs `undertone ARGUMENTS...` against a pod, with `stdin` as standard input.

    In this process: the start of a process takes longer than most commands.
    """

    def run(*arguments: object, stdin: bytes = b"") -> Result:
        environment = {"UNDERTONE_TARGET": pod.sidecar.target, "COLUMNS": ENVIRONMENT["COLUMNS"]}
        result = CliRunner().invoke(undertone_command, list(map(str, arguments)), input=stdin, env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run
