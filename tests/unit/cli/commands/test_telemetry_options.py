"""Telemetry options."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from undertone_cli.__main__ import undertone


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--metrics-port", "70000", "70000 is not in the range 0<=x<=65535"),
        ("--pushgateway", "gateway:9091", "use a URL, such as http://pushgateway:9091"),
        ("--dogstatsd", "nowhere", "use host:port, or unix:///path/to/socket"),
        ("--trace-sample", "1", "needs --otlp-endpoint"),
        ("--log-format", "xml", "'xml' is not one of"),
        ("--finish-by", "soon", "'soon' is not a time: use a duration"),
    ],
)
def test_invalid_values_of_flags_and_variables(tmp_path: Path, flag: str, value: str, message: str) -> None:
    command = ["score", str(tmp_path / "novel.txt"), "--out", str(tmp_path / "out")]
    variable = f"UNDERTONE_{flag.removeprefix('--').replace('-', '_').upper()}"
    for arguments, environment in (([flag, value], {}), ([], {variable: value})):
        result = CliRunner().invoke(undertone, [*command, *arguments], env={"COLUMNS": "200", **environment})
        assert (result.exit_code, message in result.output) == (2, True), result.output


def test_the_host_of_metrics_needs_their_port(tmp_path: Path) -> None:
    command = ["score", str(tmp_path / "novel.txt"), "--out", str(tmp_path / "out"), "--metrics-host", "::"]
    result = CliRunner().invoke(undertone, command, env={"COLUMNS": "200"})
    assert (result.exit_code, "--metrics-host has no effect without --metrics-port" in result.output) == (2, True)


def test_metrics_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
        command = ["score", str(tmp_path / "novel.txt"), "--out", str(tmp_path / "out"), "--metrics-port", str(port)]
        result = CliRunner().invoke(undertone, command, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert f"--metrics-port {port} cannot be opened on localhost" in result.output
