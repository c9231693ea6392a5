"""Options, environment variables and defaults."""

from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from undertone_dev_server.errors import SettingsError
from undertone_dev_server.settings import Settings, parse, recommended_environment
from undertone_dev_server.version_policy import VersionPolicy

BASE = "--model_base_path=/models/emotions"


def error_of(arguments: Sequence[str]) -> str:
    """The message for invalid settings."""
    with pytest.raises((SettingsError, click.ClickException)) as error:
        parse(arguments)
    return error.value.format_message() if isinstance(error.value, click.ClickException) else str(error.value)


def test_defaults_are_tf_servings() -> None:
    settings = parse([BASE])
    assert (settings.model_name, settings.model_base_path) == ("default", Path("/models/emotions"))
    assert settings.port == 8500
    assert settings.grpc_socket_path is None
    assert settings.file_system_poll_wait_seconds == 1
    assert (settings.max_num_load_retries, settings.load_retry_interval_micros) == (5, 60_000_000)
    assert settings.version_policy == VersionPolicy(latest=1)
    assert settings.grpc_max_threads % 4 == 0
    assert settings.host == "127.0.0.1", "TF Serving listens on all interfaces"


def test_every_option_sets_its_field(tmp_path: Path) -> None:
    (tmp_path / "monitoring.config").write_text('prometheus_config { enable: true path: "/metrics" }')
    settings = parse(
        [
            BASE,
            "--model_name=emotions",
            "--host=0.0.0.0",
            "--port=0",
            f"--grpc_socket_path={tmp_path / 's'}",
            "--rest_api_port=8501",
            f"--monitoring_config_file={tmp_path / 'monitoring.config'}",
            "--grpc_max_threads=3",
            "--tensorflow_intra_op_parallelism=2",
            "--tensorflow_inter_op_parallelism=1",
            "--file_system_poll_wait_seconds=0.5",
            "--max_num_load_retries=2",
            "--load_retry_interval_micros=-1",
        ]
    )
    assert settings == Settings(
        model_name="emotions",
        model_base_path=Path("/models/emotions"),
        grpc_max_threads=3,
        host="0.0.0.0",  # noqa: S104
        port=0,
        grpc_socket_path=tmp_path / "s",
        rest_api_port=8501,
        monitoring_path="/metrics",
        tensorflow_intra_op_parallelism=2,
        tensorflow_inter_op_parallelism=1,
        file_system_poll_wait_seconds=0.5,
        max_num_load_retries=2,
        load_retry_interval_micros=-1,
    )


def test_options_override_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERTONE_MODEL_BASE_PATH", "/models/emotions")
    monkeypatch.setenv("UNDERTONE_PORT", "7000")
    monkeypatch.setenv("UNDERTONE_MODEL_NAME", "a")
    settings = parse(["--model_name=b"])
    assert (settings.model_name, settings.port) == ("b", 7000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "set --model_base_path or --model_config_file"),
        ([BASE, "--model_name="], "--model_name is empty"),
        ([BASE, "--port=http"], "'--port' (env var: 'UNDERTONE_PORT'): 'http' is not a valid"),
        ([BASE, "--prot=1"], "No such option '--prot'"),
        ([BASE, "--enable_batching"], "No such option '--enable_batching'"),
        ([BASE, "--port=65536"], "65536 is not in the range"),
        ([BASE, "--rest_api_port=70000"], "70000 is not in the range"),
        ([BASE, "--grpc_max_threads=1"], "1 is not in the range"),
        ([BASE, "--tensorflow_intra_op_parallelism=-1"], "-1 is not in the range"),
        ([BASE, "--file_system_poll_wait_seconds=-1"], "-1 is not a duration"),
        ([BASE, "--file_system_poll_wait_seconds=inf"], "inf is not a duration"),
        ([BASE, "--file_system_poll_wait_seconds=nan"], "nan is not a duration"),
        ([BASE, f"--grpc_socket_path=/{'x' * 120}"], "121 bytes long"),
        ([BASE, "--grpc_socket_path=/no/such/folder/s"], "the folder /no/such/folder does not exist"),
        ([BASE, f"--grpc_socket_path={__file__}"], "is not a socket"),
    ],
)
def test_error_names_the_setting_and_the_value(arguments: list[str], message: str) -> None:
    assert message in error_of(arguments)


def test_error_names_the_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERTONE_PORT", "http")
    assert "(env var: 'UNDERTONE_PORT'): 'http'" in error_of([BASE])


def test_metrics_need_a_port(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("prometheus_config { enable: true }")
    assert "set --rest_api_port" in error_of([BASE, f"--monitoring_config_file={tmp_path / 'config'}"])


def test_recommended_environment_has_no_comments() -> None:
    variables = recommended_environment()
    assert variables["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] == "1"
    assert all(name == name.upper() and value.isdecimal() for name, value in variables.items())
