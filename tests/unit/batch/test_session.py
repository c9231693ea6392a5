import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from undertone_batch.command import undertone_batch
from undertone_batch.errors import JavaLostError, JobError, explain_spark_errors
from undertone_batch.session import cancel_on_signals, check_java, merged_extensions
from undertone_client import SettingsError
from undertone_client.jobs import Terminated


@pytest.mark.parametrize(
    ("present", "merged"),
    [
        (None, "iceberg"),
        ("", "iceberg"),
        ("iceberg", "iceberg"),
        ("delta", "delta,iceberg"),
        (" delta , iceberg, sedona", "delta,iceberg,sedona"),
    ],
)
def test_the_extensions_of_the_user_are_kept(present: str | None, merged: str) -> None:
    assert merged_extensions(present, "iceberg") == merged


@pytest.fixture
def java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a program `java` that prints `output` the only program on the path."""

    def create(output: str, exit_code: int = 0) -> Path:
        program = tmp_path / "java"
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{output}' >&2\nexit {exit_code}\n")
        program.chmod(0o755)
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        return program

    return create


@pytest.mark.parametrize(
    "output",
    [
        'openjdk version "17.0.15" 2025-04-15',
        'openjdk version "17" 2021-09-14',
        'Picked up JAVA_TOOL_OPTIONS: -Xmx1g\njava version "21-ea" 2023-09-19',
    ],
)
def test_java_17_and_later_are_accepted(java: Callable[[str], Path], output: str) -> None:
    java(output)
    check_java()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ('java version "1.8.0_392"', "Spark 4.0.4 needs Java 17 or later, but 'java' is Java 8: install Java 17 or later"),
        ('openjdk version "11.0.22" 2024-01-16', "but 'java' is Java 11: install"),
        ("Unable to locate a Java Runtime.", "prints 'Unable to locate a Java Runtime.' instead of its version: install"),
    ],
)
def test_missing_and_older_versions_of_java_are_rejected(java: Callable[[str], Path], output: str, message: str) -> None:
    java(output)
    with pytest.raises(SettingsError, match=message):
        check_java("4.0.4")


@pytest.mark.parametrize("output", ['java version "1.8.0_392"', 'openjdk version "11.0.22" 2024-01-16'])
def test_spark_3_runs_on_java_8_and_11(java: Callable[[str], Path], output: str) -> None:
    java(output)
    check_java("3.5.9")


def test_spark_3_rejects_java_7(java: Callable[[str], Path]) -> None:
    java('java version "1.7.0_80"')
    with pytest.raises(
        SettingsError, match=r"Spark 3\.5\.9 needs Java 8 or later, but 'java' is Java 7: install Java 8 or later"
    ):
        check_java("3.5.9")


def test_a_java_that_does_not_run_is_rejected(java: Callable[[str], Path]) -> None:
    java("").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(SettingsError, match="prints 'Exec format error' instead of its version"):
        check_java()


def test_java_home_precedes_the_path(java: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java('openjdk version "17.0.15"')
    old = tmp_path / "old/bin/java"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.22\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    with pytest.raises(SettingsError, match=f"'{old}' is Java 11"):
        check_java("4.1.4")


@pytest.mark.parametrize("output", [None, 'java version "1.7.0_80"'])
def test_the_command_checks_java(
    java: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, output: str | None
) -> None:
    if output is None:
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        message = f"'{tmp_path}/bin/java' does not exist: install Java "
    else:
        java(output)
        message = "is Java 7: install Java "
    arguments = ["run", "--mode=daily", "--source=source", "--table=emotions.posts", f"--warehouse={tmp_path}"]
    result = CliRunner().invoke(undertone_batch, arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("number", "exception"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_cancels_and_replaces_the_resulting_exception(number: signal.Signals, exception: type[BaseException]) -> None:
    cancelled, previous = threading.Event(), signal.getsignal(number)

    def run() -> None:
        os.kill(os.getpid(), number)
        assert cancelled.wait(60)
        raise JobError("the run was cancelled")

    with pytest.raises(exception), cancel_on_signals(cancelled.set):
        run()
    assert signal.getsignal(number) is previous


def test_without_a_signal_an_exception_propagates() -> None:
    with pytest.raises(JobError, match="a failure"), cancel_on_signals(lambda: None):
        raise JobError("a failure")


def test_a_signal_that_does_not_stop_the_run_changes_nothing() -> None:
    cancelled = threading.Event()
    with cancel_on_signals(cancelled.set):
        os.kill(os.getpid(), signal.SIGTERM)
        assert cancelled.wait(60)


def test_a_signal_that_follows_the_end_of_java_explains_it() -> None:
    """A signal to all processes can end Java first."""

    def run() -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        raise JavaLostError("Java has ended")

    with pytest.raises(Terminated), cancel_on_signals(lambda: None):
        run()


def test_a_cancellation_without_java_is_ignored() -> None:
    called = threading.Event()

    def cancel() -> None:
        called.set()
        raise Py4JError("Java has ended")

    def run() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert called.wait(60)
        raise JobError("the run was cancelled")

    with pytest.raises(Terminated), cancel_on_signals(cancel):
        run()


@pytest.mark.parametrize("error", [Py4JError("An error occurred while calling o5.load"), ConnectionRefusedError()])
def test_the_end_of_java_is_explained(error: Exception) -> None:
    with pytest.raises(JavaLostError, match="Spark's Java process has ended"), explain_spark_errors():
        raise error


def test_a_wrong_call_of_java_is_not_explained() -> None:
    with pytest.raises(Py4JError), explain_spark_errors():
        raise Py4JError("An error occurred. Trace:\npy4j.Py4JException: Method x() does not exist")
