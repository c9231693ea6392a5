"""compose.yaml: properties that can be checked without an engine, and a start with an engine."""

import http.client
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from undertone_bench.chart import Chart
from undertone_bench.processes import free_ports
from undertone_sidecar.__main__ import serve

from deploy.compose.__main__ import ALERTS, FOLDER, NAMESPACE, alerts
from tests.chart.support.paths import CHART, ROOT
from tests.chart.support.prometheus import find
from tests.docker.engine import TIMEOUT_SECONDS, unreachable

FILE: Final = ROOT / "compose.yaml"
COMPOSE: Final = yaml.safe_load(FILE.read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
VALUES: Final = yaml.safe_load((CHART / "values.yaml").read_text())


def defaults(text: str) -> str:
    """The text with the default of each variable."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def compose(*arguments: str, **variables: str) -> str:
    """Runs docker compose with this project and returns its standard output."""
    command = ["docker", "compose", "--file", str(FILE), "--project-name", "undertone-test", *arguments]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | variables, timeout=TIMEOUT_SECONDS
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_variables_have_defaults() -> None:
    used = set(re.findall(r"(?<!\$)\$\{?(\w+)", re.sub(r"\$\{\w+:-[^}]*\}", "", FILE.read_text())))
    assert not used


def test_images_are_those_of_the_chart() -> None:
    version = (ROOT / "VERSION").read_text().strip()
    for service, own in (("model", VALUES["model"]["image"]), ("sidecar", VALUES["sidecar"]["image"])):
        assert defaults(SERVICES[service]["image"]) == f"{own['repository']}:{version}"
        assert SERVICES[service]["build"]["dockerfile"] == f"docker/{service}/Dockerfile"
    serving = VALUES["modelServer"]["image"]
    assert SERVICES["model-server"]["image"] == f"{serving['repository']}:{serving['tag']}"


def test_tf_serving_has_the_flags() -> None:
    known = (CHART / "files/model-server-flags.txt").read_text().split()
    flags = [argument.removeprefix("--").partition("=")[0] for argument in SERVICES["model-server"]["command"]]
    assert set(flags) <= set(known)
    limit = VALUES["modelServer"]["resources"]["limits"]["memory"]
    assert SERVICES["model-server"]["mem_limit"] + "i" == limit.replace("M", "m")
    assert SERVICES["sidecar"]["environment"]["UNDERTONE_MODEL_SERVER_MEMORY"] == limit


def test_the_sidecar_accepts_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {name: defaults(value) for name, value in SERVICES["sidecar"]["environment"].items()}
    known = {
        name for param in serve.params for name in ([param.envvar] if isinstance(param.envvar, str) else param.envvar or ())
    }
    assert set(environment) <= known
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with serve.make_context("undertone-sidecar", [], resilient_parsing=False) as context:
        assert context.params["model_server"] == "dns:///model-server:8500"
        assert context.params["http_port"] == 8080


def test_mounted_files_exist() -> None:
    sources = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    files = {source for source in map(defaults, sources) if source.startswith("./")}
    assert len(files) >= 7
    assert all((ROOT / file).exists() for file in files)
    # What "${MODELS:-models}" splits to is checked here.
    named = {source for source in sources if not source.startswith("./")}
    assert named <= set(COMPOSE["volumes"]) | {"${MODELS"}


@pytest.mark.parametrize(("variable", "copied"), [("", ["emotions"]), ("./build/models", [])])
def test_a_model_of_the_user_is_not_overwritten(tmp_path: Path, variable: str, copied: list[str]) -> None:
    for folder in ("models/emotions", "copy"):
        (tmp_path / folder).mkdir(parents=True)
    shell, option, script = SERVICES["model"]["command"]
    script = script.replace("$$", "$").replace("/models", f"{tmp_path}/models").replace("/copy", f"{tmp_path}/copy")
    subprocess.run([shell, option, script], check=True, env=os.environ | {"MODELS": variable})
    assert [path.name for path in (tmp_path / "copy").iterdir()] == copied


@pytest.mark.parametrize("name", SERVICES)
def test_containers_are_restricted(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    for port in service.get("ports", ()):
        assert port.startswith("${BIND:-127.0.0.1}:"), "a port is open on loopback only"


def test_only_monitoring_has_a_profile() -> None:
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["observe"]} == {"prometheus", "grafana"}


def test_prometheus_reads_the_services() -> None:
    promtool = find("promtool")
    ran = subprocess.run([promtool, "check", "config", FOLDER / "prometheus.yaml"], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    scrapes = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"]
    for scrape in scrapes:
        (target,) = scrape["static_configs"]
        assert target["targets"][0].partition(":")[0] in SERVICES
        assert target["labels"]["namespace"] == NAMESPACE


def test_alerts_are_those_of_the_chart(chart: Chart) -> None:
    assert ALERTS.read_text() == alerts(chart), "run python -m deploy.compose"


def test_grafana_finds_data_source_and_dashboards() -> None:
    (source,) = yaml.safe_load((FOLDER / "grafana/datasources.yaml").read_text())["datasources"]
    host = re.fullmatch(r"http://([a-z-]+):(\d+)", source["url"])
    assert host
    assert host[1] in SERVICES
    assert SERVICES[host[1]]["ports"][0].endswith(f":{host[2]}")
    (provider,) = yaml.safe_load((FOLDER / "grafana/dashboards.yaml").read_text())["providers"]
    mounts = dict(volume.split(":")[1::-1] for volume in SERVICES["grafana"]["volumes"])
    folder = ROOT / mounts[provider["options"]["path"]]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert json.loads((folder / home.rpartition("/")[2]).read_text())["panels"]


def test_docker_accepts_the_file() -> None:
    if subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode:
        pytest.skip("docker compose is not installed")
    services = json.loads(compose("--profile", "observe", "config", "--format=json"))["services"]
    assert set(services) == set(SERVICES)


@pytest.fixture
def service() -> Iterator[int]:
    """The running service. Yields its HTTP port."""
    if reason := unreachable():
        pytest.skip(reason)
    names = ("PORT", "HTTP_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")
    ports = dict(zip(names, map(str, free_ports(4)), strict=True))
    try:
        compose("up", "--build", "--wait", "--wait-timeout=900", **ports)
        yield int(ports["HTTP_PORT"])
    finally:
        compose("down", "--volumes", **ports)


def test_the_service_scores_a_paragraph(service: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", service, timeout=30)
    body = json.dumps({"text": "She laughed for the first time since spring."})
    connection.request("POST", "/v1/paragraphs:classify", body, {"content-type": "application/json"})
    answer = json.load(connection.getresponse())
    assert answer["label"] in answer["labels"]
