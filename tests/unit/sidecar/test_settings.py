import re
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from undertone_sidecar import Settings, SettingsError
from undertone_sidecar.__main__ import serve
from undertone_sidecar.plan_command import plan
from undertone_sidecar.testing import read_settings
from undertone_telemetry import TelemetrySettings


def test_flags_override_the_environment_and_the_environment_overrides_defaults(tmp_path: Path) -> None:
    settings = read_settings(
        "--port", "5678", UNDERTONE_MODEL_DIR=str(tmp_path), UNDERTONE_PORT="1234", UNDERTONE_MAX_QUEUE="500"
    )
    assert (settings.model_dir, settings.port, settings.max_queue, settings.batch_tokens) == (tmp_path, 5678, 500, 2048)
    assert settings.served_name == tmp_path.name
    assert settings.telemetry.metrics_port == 9464


def test_all_telemetry_can_be_off(tmp_path: Path) -> None:
    assert read_settings("--model-dir", str(tmp_path), "--metrics-port=off").telemetry == TelemetrySettings()


def test_the_variable_of_opentelemetry_sets_the_otlp_endpoint_if_ours_is_not_set(tmp_path: Path) -> None:
    environment = {"UNDERTONE_MODEL_DIR": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}
    settings = read_settings(**environment)
    assert settings.otlp_endpoint == "http://collector:4317"
    assert not settings.telemetry.traced
    environment |= {"UNDERTONE_OTLP_ENDPOINT": "http://other:4317", "UNDERTONE_TRACE_SAMPLE": "0.01"}
    settings = read_settings(**environment)
    assert settings.otlp_endpoint == "http://other:4317"
    assert settings.telemetry.traced
    with pytest.raises(click.UsageError, match="--otlp-endpoint is 'collector:4317'"):
        read_settings("--otlp-endpoint=collector:4317", **environment)


@pytest.mark.parametrize(
    ("arguments", "auto"), [([], False), (["--auto"], True), (["--auto", "true"], True), (["--auto=false"], False)]
)
def test_a_boolean_flag_alone_means_true(tmp_path: Path, arguments: list[str], auto: bool) -> None:
    assert read_settings(*arguments, "--model-dir", str(tmp_path)).auto is auto
    assert read_settings("--model-dir", str(tmp_path), UNDERTONE_AUTO="1").auto


@pytest.mark.parametrize(("cpus", "expected"), [("2", 2.0), ("1.5", 1.5), ("1500m", 1.5)])
def test_cpus_are_read_in_the_notation_of_kubernetes(tmp_path: Path, cpus: str, expected: float) -> None:
    assert read_settings("--model-dir", str(tmp_path), f"--model-server-cpus={cpus}").model_server_cpus == expected


@pytest.mark.parametrize(
    ("memory", "expected"),
    [("3584Mi", 3584 * 2**20), ("1.5Gi", 3 * 2**29), ("4G", 4 * 10**9), ("512k", 512_000), ("4294967296", 2**32), ("0", 0)],
)
def test_memory_is_read_in_the_notation_of_kubernetes(tmp_path: Path, memory: str, expected: int) -> None:
    assert read_settings("--model-dir", str(tmp_path), f"--model-server-memory={memory}").model_server_memory == expected


def test_one_error_lists_all_problems(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        Settings(
            model_dir=tmp_path / "missing",
            model_server="nowhere",
            port=7,
            metrics_port=7,
            batch_tokens=0,
            poll_seconds=float("nan"),
            drain_delay_seconds=40,
            max_queue=10,
            max_batch_bytes=10,
            tokenizer_threads=65,
            log_format="xml",
            batch_lane_share=1.0,
            http_hosts="scores, https://scores",
        )
    lines = str(error.value).splitlines()
    assert len(lines) == 13
    assert "--http-hosts has 'https://scores': use names of hosts without scheme, port and wildcards, or * for all" in lines
    assert "--batch-tokens: 0 is not in the range x>=16." in lines
    assert "--poll-seconds: nan is not a number." in lines
    assert "--model-server 'nowhere' is invalid: use host:port or unix:///path/to/socket" in lines


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ([], {}, "Missing option '--model-dir' (env var: 'UNDERTONE_MODEL_DIR')"),
        (["--model-dir", "x", "--port", "many"], {}, "Invalid value for '--port'"),
        (["--model-dir", "x", "--port", "65536"], {}, "65536 is not in the range 0<=x<=65535"),
        (["--model-dir", "x"], {"UNDERTONE_PORT": "many"}, "(env var: 'UNDERTONE_PORT'): 'many' is not a valid"),
        (["--model-dir", "x", "--metrics-port", "on"], {}, "'on' is not a port: use a number from 0 to 65535, or off"),
        (["--model-dir", "x", "--metrics-port", "70000"], {}, "'70000' is not a port"),
        (["--model-dir", "x", "--max-queue=0"], {}, "Invalid value for '--max-queue' (env var: 'UNDERTONE_MAX_QUEUE')"),
        (["--model-dir", "x", "--poll-seconds=nan"], {}, "nan is not a number"),
        (
            ["--model-dir", "x", "--model-server-memory=4KB"],
            {},
            "'4KB' is not a size of memory: use a form such as 3584Mi, 4Gi or 4294967296.",
        ),
        (["--model-dir", "x", "--model-server-cpus=two"], {}, "'two' is not a number of CPUs: use a form such as 1.5"),
        (["--model-dir", "x", "--auto=perhaps"], {}, "'perhaps' is not a valid boolean"),
        (["--model-dir", "x", "--colour"], {}, "No such option '--colour'"),
        (["--model-dir", "x", "--http-hosts=,"], {}, "--http-hosts ',' has no name: name hosts, such as score.example"),
        (["--model-dir", "x"], {}, "--model-dir x is not a folder: use the folder that contains the versions' folders"),
    ],
)
def test_an_error_names_the_flag_the_variable_and_the_remedy(
    arguments: list[str], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(click.UsageError) as error:
        read_settings(*arguments, **environment)
    assert error.value.exit_code == 2
    assert message in error.value.format_message()


@pytest.mark.parametrize("command", [serve, plan])
@pytest.mark.parametrize(("arguments", "environment"), [(["--batching=passthrough"], {}), ([], {"UNDERTONE_BATCHING": "x"})])
def test_the_removed_option_batching_is_refused_with_its_remedy(
    command: click.Command, arguments: list[str], environment: dict[str, str]
) -> None:
    result = CliRunner(env=environment).invoke(command, arguments)
    assert (result.exit_code, "the option was removed" in result.output) == (2, True)
    assert "remove the option and the variable" in result.output


def test_the_help_describes_every_option_with_its_default_and_its_variable_in_100_columns() -> None:
    result = CliRunner(env={"COLUMNS": "100"}).invoke(serve, ["--help"])
    assert max(map(len, result.output.splitlines())) <= 100
    text = " ".join(result.output.split())
    options = {option.name: option for option in serve.params if option.name not in ("version", "batching")}
    assert options.keys() == {setting.name for setting in fields(Settings)}
    for name, option in options.items():
        assert isinstance(option, click.Option)
        assert option.help
        if option.hidden:
            assert name == "cache_redis_password"
            continue
        assert re.search(rf"{option.opts[0]} \S", text)
        assert f"env var: UNDERTONE_{str(name).upper()}" in text
    for expected in ("--model-dir DIR", "default: 2048", "Batching:", "Exit codes:", "Example:", "undertone-sidecar plan"):
        assert expected in text


@pytest.mark.parametrize("scheme", ["unix:", "unix://", "unix-abstract:"])
def test_a_socket_path_over_the_limit_of_the_system_is_refused(base: Path, scheme: str) -> None:
    path = f"/{'s' * 107}"
    with pytest.raises(SettingsError, match=f"--model-server: the path '{path}' .* has 108 bytes; the limit is 107"):
        Settings(model_dir=base, model_server=f"{scheme}{path}")
