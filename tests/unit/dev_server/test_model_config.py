"""The model in TF Serving's configuration file."""

from pathlib import Path

import pytest
from undertone_dev_server.errors import SettingsError
from undertone_dev_server.settings import parse
from undertone_dev_server.version_policy import VersionPolicy

MODEL = 'name: "emotions" base_path: "/models/emotions" model_platform: "tensorflow"'


def write(folder: Path, *models: str) -> Path:
    path = folder / "models.config"
    path.write_text("model_config_list {" + " ".join(f"config {{ {model} }}" for model in models) + "}")
    return path


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", VersionPolicy(latest=1)),
        ("model_version_policy { latest {} }", VersionPolicy(latest=1)),
        ("model_version_policy { latest { num_versions: 2 } }", VersionPolicy(latest=2)),
        ("model_version_policy { all {} }", VersionPolicy(latest=None)),
        ("model_version_policy { specific { versions: 3 versions: 7 } }", VersionPolicy(specific=frozenset({3, 7}))),
    ],
)
def test_file_replaces_name_and_base_path(tmp_path: Path, policy: str, expected: VersionPolicy) -> None:
    settings = parse([f"--model_config_file={write(tmp_path, f'{MODEL} {policy}')}", "--model_name=other"])
    assert (settings.model_name, settings.model_base_path) == ("emotions", Path("/models/emotions"))
    assert settings.version_policy == expected


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "configures 0 models"),
        ([MODEL, MODEL], "configures 2 models"),
        (['name: "emotions"'], "needs a name and a base_path"),
        ([MODEL + ' version_labels { key: "stable" value: 1 }'], "does not support version_labels"),
        (["names: 3"], "is not a ModelServerConfig in text format"),
    ],
)
def test_invalid_file_is_refused(tmp_path: Path, models: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse([f"--model_config_file={write(tmp_path, *models)}"])


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read --model_config_file="):
        parse([f"--model_config_file={tmp_path / 'models.config'}"])
