"""The path of the metrics in TF Serving's monitoring configuration."""

from pathlib import Path

import pytest
from undertone_dev_server import monitoring_config
from undertone_dev_server.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('prometheus_config { enable: true path: "/here" }', "/here"),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { path: "/here" }', ""),
        ("", ""),
    ],
)
def test_path_of_the_metrics(tmp_path: Path, text: str, path: str) -> None:
    (tmp_path / "config").write_text(text)
    assert monitoring_config.read(tmp_path / "config") == path


def test_invalid_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read --monitoring_config_file="):
        monitoring_config.read(tmp_path / "config")
    (tmp_path / "config").write_text("prometheus { on }")
    with pytest.raises(SettingsError, match="not a MonitoringConfig in text format"):
        monitoring_config.read(tmp_path / "config")
