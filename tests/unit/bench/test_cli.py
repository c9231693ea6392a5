import sys

import click
import pytest
from click.testing import CliRunner
from undertone_bench.cli import COMMANDS, main
from undertone_bench.commands import graph
from undertone_bench.errors import BenchError

HEAVY = {"tensorflow", "pyspark", "openvino"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_summary_examples_and_the_short_help_option(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "-h"])
    assert shown.exit_code == 0, shown.output
    assert f"{name} [OPTIONS]" in shown.output
    command = main.get_command(click.Context(main), name)
    assert command
    if not isinstance(command, click.Group):
        assert "Examples:" in (command.epilog or "")


@pytest.mark.parametrize("name", graph.COMMANDS)
def test_commands_of_graph_load(name: str) -> None:
    shown = CliRunner().invoke(main, ["graph", name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert "Examples:" in shown.output


def test_help_imports_neither_tensorflow_nor_spark() -> None:
    script = f"""
import sys
from click.testing import CliRunner
from undertone_bench.cli import COMMANDS, main
for name in COMMANDS:
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0, name
assert not {HEAVY!r} & sys.modules.keys(), sorted({HEAVY!r} & sys.modules.keys())
"""
    import subprocess

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_command_is_a_usage_error_that_names_the_commands() -> None:
    refused = CliRunner().invoke(main, ["trhoughput"])
    assert refused.exit_code == 2
    assert "no command 'trhoughput'; the commands are throughput," in refused.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["load"], "either --rate (open loop) or --concurrency (closed loop)"),
        (["spark", "--fleet", "--variants", "broadcast"], "broadcast needs --model"),
        (["spark", "--variants", "rows"], "--variants 'rows' is invalid: use row,"),
        (["graph", "compare", "--shape", "8"], "'8' is not a shape: use ROWSxTOKENS"),
        (["graph", "precision", "--only", "int4"], "--only 'int4' is invalid"),
        (["spark", "--fleet", "--model", "demo"], "--model has no effect with --fleet"),
        (["spark", "--paragraphs", "9"], "--paragraphs needs --fleet"),
        (["spark", "--target", "here:1", "--model", "demo"], "--model has no effect with --target"),
        (["load", "--rate", "1", "--paragraphs", "9"], "--paragraphs has no effect with --rate"),
        (["load", "--concurrency", "1", "--seconds", "9"], "--seconds has no effect with --concurrency"),
        (["load", "--rate", "1", "--target", "here:1", "--sidecar-flag=x"], "--sidecar-flag has no effect with --target"),
        (["goodput", "--target", "here:1", "--sidecar-flag=x"], "--sidecar-flag has no effect with --target"),
        (["goodput", "--bisections", "0", "--server-seconds", "1"], "--server-seconds has no effect with --bisections 0"),
        (["soak", "--through", "client", "--kill-at", "0"], "--kill-at is for a run of undertone score"),
        (["tune", "--p99", "1"], "--p99 has no effect with --objective offline"),
        (["tune", "--grid", "--trials", "9"], "--trials has no effect with --grid"),
        (["fleet-model", "--sidecar-flag=x"], "--sidecar-flag has no effect with --model-server fake"),
        (
            ["fleet-model", "--model-server", "tensorflow", "--calls", "1"],
            "--calls has no effect with --model-server tensorflow",
        ),
        (["fleet-model", "--model-server", "tensorflow", "--pods", "1", "--pods", "9999"], "9999 CPUs are needed, but"),
        (["simulation", "ready", "--calibration", "nope"], "--calibration: there is no calibration 'nope'"),
        (["simulation", "serve", "--lost=0.7", "--reset=0.4"], "the fault options add up to 1.1: use shares"),
        (["sidecar", "--rounds=2"], "No such option '--rounds'"),
        (["fleet-model", "--rounds=2"], "No such option '--rounds'"),
        (["throughput", "--precision=int8"], "'int8' is not one of 'fp32', 'bf16'"),
        (["memory", "--precision=FP32"], "'FP32' is not one of 'fp32', 'bf16'"),
        (["client-overhead", "--paragraphs=100", "--items=32"], "--paragraphs 100 is not a multiple of --items 32: use 96"),
        (["client-overhead", "--paragraphs=5"], "--paragraphs 5 is not a multiple of --items 32: use 32"),
        (["load", "--target=nonsense", "--rate=1"], "Invalid value for '--target': target 'nonsense' has no port"),
        (["goodput", "--target=http://here:1"], "Invalid value for '--target': target 'http://here:1' has a URL scheme"),
        (["spark", "--target", "no port", "--variants", "asyncio"], "target 'no port' is invalid: give host:port"),
    ],
)
def test_wrong_options_are_explained(arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undertone_bench.options.BenchModel.find", lambda *_: None)
    monkeypatch.setattr("undertone_bench.options.Experiment.create", lambda *_: None)
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code in (1, 2)
    assert message in " ".join(refused.output.split())


def test_the_error_of_a_task_is_one_line_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ExceptionGroup("two tasks", [ExceptionGroup("", [BenchError("Envoy is not installed")]), BenchError("later")])

    monkeypatch.setattr("undertone_bench.commands.client_throughput.running_fleet", fail)
    failed = CliRunner().invoke(main, ["client-throughput"])
    assert failed.exit_code == 1
    assert failed.output == "Error: Envoy is not installed\n"


def test_an_unexpected_error_beside_an_expected_one_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ExceptionGroup("two tasks", [BenchError("Envoy is not installed"), ExceptionGroup("", [ValueError("a defect")])])

    monkeypatch.setattr("undertone_bench.commands.client_throughput.running_fleet", fail)
    failed = CliRunner().invoke(main, ["client-throughput"])
    assert isinstance(failed.exception, ExceptionGroup)
    assert failed.exception.subgroup(ValueError) is not None
    assert failed.exception.subgroup(BenchError) is not None


def test_ctrl_c_ends_with_130_and_without_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("undertone_bench.commands.client_throughput.running_fleet", interrupt)
    interrupted = CliRunner().invoke(main, ["client-throughput"])
    assert interrupted.exit_code == 130
    assert "Interrupted" in interrupted.output
