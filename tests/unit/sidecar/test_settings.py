from pathlib import Path

import pytest
from undertone_sidecar import Settings
from undertone_sidecar.errors import SettingsError
from undertone_telemetry.settings import TelemetrySettings


def test_flags_win_over_the_environment_and_that_over_defaults(tmp_path: Path) -> None:
    environment = {"UNDERTONE_MODEL_DIR": str(tmp_path), "UNDERTONE_PORT": "1234", "UNDERTONE_MAX_QUEUE": "500"}
    settings = Settings.parse(["--port", "5678"], environment)
    assert (settings.model_dir, settings.port, settings.max_queue, settings.batch_tokens) == (tmp_path, 5678, 500, 2048)
    assert settings.served_name == tmp_path.name
    assert settings.telemetry.metrics_port == 9464


def test_every_part_of_telemetry_can_be_left_out(tmp_path: Path) -> None:
    off = Settings.parse(["--model-dir", str(tmp_path), "--metrics-port=off"], {}).telemetry
    assert off == TelemetrySettings()


def test_the_collector_is_found_where_opentelemetry_has_it(tmp_path: Path) -> None:
    environment = {"UNDERTONE_MODEL_DIR": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}
    assert Settings.parse([], environment).otlp_endpoint == "http://collector:4317"
    assert not Settings.parse([], environment).telemetry.traced
    environment |= {"UNDERTONE_OTLP_ENDPOINT": "http://other:4317", "UNDERTONE_TRACE_SAMPLE": "0.01"}
    assert Settings.parse([], environment).otlp_endpoint == "http://other:4317"
    assert Settings.parse([], environment).telemetry.traced
    with pytest.raises(SettingsError, match="--otlp-endpoint is 'collector:4317'; write the URL"):
        Settings.parse(["--otlp-endpoint=collector:4317"], environment)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
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
            batching="whole",
            batch_lane_share=1.0,
        )
    lines = str(refusal.value).splitlines()
    assert len(lines) == 12
    assert "--batching is 'whole'; choose one of token-budget, passthrough" in lines
    assert "--batch-tokens is 0; it must be at least 16" in lines
    assert "--poll-seconds is nan; it must be at least 0.01" in lines
    assert "--model-server is 'nowhere'; write host:port or unix:///path/to/socket" in lines


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ([], {}, "the following arguments are required: --model-dir"),
        (["--model-dir", "x", "--port", "many"], {}, "argument --port: 'many' cannot be read"),
        (["--model-dir", "x"], {"UNDERTONE_PORT": "many"}, "argument --port: UNDERTONE_PORT in the environment: 'many'"),
        (["--model-dir", "x", "--metrics-port", "on"], {}, "argument --metrics-port: 'on' is no port; give a number, or off"),
    ],
)
def test_values_that_cannot_be_read_end_with_usage(
    arguments: list[str], environment: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        Settings.parse(arguments, environment)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_batching_decides_how_many_calls_run_at_once(tmp_path: Path) -> None:
    assert Settings(model_dir=tmp_path).bounds(3).slots == 3
    bounds = Settings.parse(["--model-dir", str(tmp_path), "--batching=passthrough", "--model-calls=7"], {}).bounds(7)
    assert (bounds.slots, bounds.rows) == (7, 1)


def test_help_names_every_flag_its_default_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Settings.parse(["--help"], {})
    text = " ".join(capsys.readouterr().out.split())
    for said in (
        "--model-dir DIR",
        "--batch-tokens N",
        "(default: 2048)",
        "UNDERTONE_MODEL_DIR",
        "exit codes",
        "example:",
        "undertone-sidecar plan",
    ):
        assert said in text
