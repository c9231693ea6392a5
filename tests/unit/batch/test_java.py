"""A Java that Spark cannot use is named before Spark would fail with its stack trace."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from undertone_batch.command import undertone_batch
from undertone_batch.java import check_java
from undertone_client import SettingsError


@pytest.fixture
def java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Puts a program `java` that says something of its version alone on the path."""

    def put(said: str, exit_code: int = 0) -> Path:
        program = tmp_path / "java"
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{said}' >&2\nexit {exit_code}\n")
        program.chmod(0o755)
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        return program

    return put


@pytest.mark.parametrize(
    "said",
    [
        'openjdk version "17.0.15" 2025-04-15',
        'openjdk version "17" 2021-09-14',
        'Picked up JAVA_TOOL_OPTIONS: -Xmx1g\njava version "21-ea" 2023-09-19',
    ],
)
def test_new_enough(java: Callable[[str], Path], said: str) -> None:
    java(said)
    check_java()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('java version "1.8.0_392"', "Spark needs Java 17 or later, and 'java' is Java 8; install Java 17 or later"),
        ('openjdk version "11.0.22" 2024-01-16', "and 'java' is Java 11; install"),
        (
            "Unable to locate a Java Runtime.",
            "does not tell its version but 'Unable to locate a Java Runtime.'; install",
        ),
    ],
)
def test_too_old(java: Callable[[str], Path], said: str, message: str) -> None:
    java(said)
    with pytest.raises(SettingsError, match=message):
        check_java()


def test_no_program(java: Callable[[str], Path]) -> None:
    java("").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(SettingsError, match="does not tell its version but 'Exec format error'"):
        check_java()


def test_java_home_comes_first(java: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java('openjdk version "17.0.15"')
    old = tmp_path / "old/bin/java"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.22\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    with pytest.raises(SettingsError, match=f"'{old}' is Java 11"):
        check_java()


@pytest.mark.parametrize("said", [None, 'openjdk version "11.0.22"'])
def test_the_command_says_so(
    java: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str | None
) -> None:
    if said is None:
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        message = f"there is no '{tmp_path}/bin/java'; install Java 17"
    else:
        java(said)
        message = "is Java 11; install Java 17 or later, or set JAVA_HOME to where it is"
    done = CliRunner().invoke(undertone_batch, ["run", "--mode=daily", "--source=source", f"--table={tmp_path}/table"])
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output
