from pathlib import Path

import pytest
from undertone_dev_server import flags
from undertone_dev_server.errors import SettingsError
from undertone_dev_server.model_config import Latest, ModelConfig
from undertone_dev_server.settings import Settings

BASE = "--model_base_path=/models/emotions"


def test_defaults_are_tf_servings() -> None:
    settings = flags.read([BASE], {})
    assert settings.models == (ModelConfig("default", Path("/models/emotions"), Latest(1)),)
    assert settings.port == 8500
    assert settings.grpc_socket_path is None
    assert settings.file_system_poll_wait_seconds == 1
    assert settings.grpc_max_threads % 4 == 0
    assert settings.host == "127.0.0.1", "but loopback only"


def test_every_flag(tmp_path: Path) -> None:
    (tmp_path / "monitoring.config").write_text('prometheus_config { enable: true path: "/metrics" }')
    settings = flags.read(
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
        ],
        {},
    )
    assert settings == Settings(
        models=(ModelConfig("emotions", Path("/models/emotions")),),
        grpc_max_threads=3,
        host="0.0.0.0",  # noqa: S104
        port=0,
        grpc_socket_path=tmp_path / "s",
        rest_api_port=8501,
        monitoring_path="/metrics",
        tensorflow_intra_op_parallelism=2,
        tensorflow_inter_op_parallelism=1,
        file_system_poll_wait_seconds=0.5,
    )


def test_the_environment_stands_in_for_flags_and_flags_win() -> None:
    environment = {"UNDERTONE_MODEL_BASE_PATH": "/models/emotions", "UNDERTONE_PORT": "7000", "UNDERTONE_MODEL_NAME": "a"}
    settings = flags.read(["--model_name=b"], environment)
    assert (settings.models[0].name, settings.port) == ("b", 7000)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "nothing to serve: give --model_base_path"),
        ([BASE, "--model_name="], "--model_name is empty"),
        ([BASE, "--model_config_file=x"], "both given"),
        ([BASE, "--port=65536"], "--port=65536"),
        ([BASE, "--grpc_max_threads=0"], "--grpc_max_threads=0"),
        ([BASE, "--tensorflow_intra_op_parallelism=-1"], "--tensorflow_intra_op_parallelism=-1"),
        ([BASE, "--file_system_poll_wait_seconds=-1"], "--file_system_poll_wait_seconds=-1"),
        ([BASE, "--file_system_poll_wait_seconds=inf"], "--file_system_poll_wait_seconds=inf"),
        ([BASE, f"--grpc_socket_path=/{'x' * 120}"], "121 bytes long"),
        ([BASE, "--grpc_socket_path=/no/such/folder/s"], "there is no folder /no/such/folder"),
        ([BASE, f"--grpc_socket_path={__file__}"], "is not a socket"),
    ],
)
def test_settings_that_cannot_work_are_named(given: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        flags.read(given, {})


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ([BASE, "--port=http"], {}),
        ([BASE], {"UNDERTONE_PORT": "http"}),
        ([BASE, "--prot=1"], {}),
        ([BASE, "--allow_version_labels_for_unavailable_models=perhaps"], {}),
    ],
)
def test_flags_that_do_not_parse_exit_with_2(
    arguments: list[str], environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        flags.read(arguments, environment)
    assert stopped.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_labels_need_the_flag_alone_or_with_a_value(tmp_path: Path) -> None:
    path = tmp_path / "models.config"
    path.write_text(
        'model_config_list { config { name: "a" base_path: "/a" model_platform: "tensorflow" '
        'version_labels { key: "stable" value: 1 } } }'
    )
    allow = "--allow_version_labels_for_unavailable_models"
    for given in ([allow], [f"{allow}=true"], [f"{allow}=1"]):
        assert flags.read([f"--model_config_file={path}", *given], {}).models[0].labels == {"stable": 1}
    with pytest.raises(SettingsError, match="labels"):
        flags.read([f"--model_config_file={path}", f"{allow}=false"], {})
