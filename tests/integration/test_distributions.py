"""Each dist by itself: the packages that it brings, and the modules that import with only those.

Both follow from the metadata of the installed dists. `make release-check` installs the wheels.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[2]

SOURCES: Final = {
    "undertone": "services/cli/src/undertone_cli",
    "undertone-batch": "services/batch/src/undertone_batch",
    "undertone-bench": "bench/src/undertone_bench",
    "undertone-client": "services/client/src/undertone_client",
    "undertone-dev-server": "services/dev_server/src/undertone_dev_server",
    "undertone-model": "model/src/undertone_model",
    "undertone-planner": "services/planner/src/undertone_planner",
    "undertone-protos": "protos/src/undertone_protos",
    "undertone-schedules": "services/schedules/src/undertone_schedules",
    "undertone-sidecar": "services/sidecar/src/undertone_sidecar",
    "undertone-telemetry": "services/telemetry/src/undertone_telemetry",
}

GRPC: Final = {"grpcio", "typing-extensions"}
PROTOS: Final = {"undertone-protos", "googleapis-common-protos", "protobuf", *GRPC}
PROMETHEUS: Final = {"prometheus-client"}
DATADOG: Final = {"datadog", "requests", "certifi", "charset-normalizer", "idna", "urllib3"}
OTEL: Final = {
    "opentelemetry-api",
    "opentelemetry-exporter-otlp-common",
    "opentelemetry-exporter-otlp-proto-common",
    "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry-proto",
    "opentelemetry-sdk",
    "opentelemetry-semantic-conventions",
    "googleapis-common-protos",
    "protobuf",
    *GRPC,
}
TELEMETRY: Final = {"undertone-telemetry", *GRPC}
ALL_TELEMETRY: Final = {*TELEMETRY, *PROMETHEUS, *DATADOG, *OTEL, "click"}
CLIENT: Final = {"undertone-client", *PROTOS}
JOBS: Final = {*CLIENT, *TELEMETRY, "click", "pyarrow"}
PANDAS: Final = {"pandas", "numpy", "python-dateutil", "pytz", "six", "tzdata"}
COMMAND: Final = {
    "undertone",
    *JOBS,
    "charset-normalizer",
    "jinja2",
    "markupsafe",
    "rich",
    "markdown-it-py",
    "mdurl",
    "pygments",
    "zstandard",
}

INSTALLATIONS: Final[Mapping[str, set[str]]] = {
    "undertone-protos": PROTOS,
    "undertone-telemetry": TELEMETRY,
    "undertone-telemetry[prometheus]": {*TELEMETRY, *PROMETHEUS},
    "undertone-telemetry[datadog]": {*TELEMETRY, *DATADOG},
    "undertone-telemetry[otel]": {*TELEMETRY, *OTEL},
    "undertone-telemetry[options]": {*TELEMETRY, "click"},
    "undertone-client": CLIENT,
    "undertone-client[telemetry]": {*CLIENT, *TELEMETRY},
    "undertone-client[pandas]": {*CLIENT, *PANDAS},
    "undertone-client[jobs]": JOBS,
    "undertone": COMMAND,
    "undertone[datadog,otel,prometheus]": {*COMMAND, *ALL_TELEMETRY},
    "undertone-batch": {
        *("undertone-batch", "pyspark", "py4j"),
        *PANDAS,
        *JOBS,
        *ALL_TELEMETRY,
    },
    "undertone-planner": {"undertone-planner", "plotext", "pyyaml", *COMMAND},
    "undertone-schedules": {"undertone-schedules", *JOBS, *DATADOG},
    "undertone-sidecar": {
        *("undertone-sidecar", "grpcio-health-checking", "grpcio-reflection", "numpy"),
        *("tokenizers", "huggingface-hub", "py3langid"),
        *("anyio", "h11", "starlette", "uvicorn"),
        *("redis", "hiredis"),
        *PROTOS,
        *ALL_TELEMETRY,
    },
}
"""All packages that an installation brings, except those that the `SKIPPED` ones require."""

SKIPPED: Final = {"huggingface-hub"}
"""tokenizers requires huggingface-hub to download tokenizers. The sidecar's image leaves it out."""

TELEMETRY_EXTRAS: Final = {"datadog": "datadog", "options": "click", "otel": "opentelemetry", "prometheus": "prometheus_client"}
"""The module that each extra of undertone-telemetry provides."""


def closure(line: str) -> set[str]:
    """The canonical names of all packages that installing `line` brings on this machine."""
    names: set[str] = set()
    visited: set[tuple[str, str]] = set()
    waiting = [Requirement(line)]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        names.add(name)
        for extra in {"", *requirement.extras}:
            if (name, extra) in visited or name in SKIPPED:
                continue
            visited.add((name, extra))
            for further in map(Requirement, requires(name) or []):
                waiting += [further] if further.marker is None or further.marker.evaluate({"extra": extra}) else []
    return names


@cache
def providers() -> Mapping[str, set[str]]:
    """The dists that provide each top-level module."""
    third_party: dict[str, set[str]] = {}
    for module, names in packages_distributions().items():
        third_party[module] = {canonicalize_name(name) for name in names}
    # Airflow and Luigi conflict with requirements.lock, so they are not installed.
    third_party |= {"airflow": {"apache-airflow"}, "luigi": {"luigi"}}
    # The metadata of editable installations does not list their modules.
    return third_party | {Path(source).name: {dist} for dist, source in SOURCES.items()}


def modules(dist: str) -> list[str]:
    source = ROOT / SOURCES[dist]
    files = [path.relative_to(source.parent).with_suffix("") for path in source.rglob("*.py") if path.stem != "__main__"]
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in files)


def failed_imports(names: list[str], allowed: set[str]) -> dict[str, str]:
    """Imports modules in a process in which only the `allowed` dists exist.

    Returns:
        The missing top-level module of each module that failed.
    """
    hidden = sorted(module for module, dists in providers().items() if not dists & allowed)
    script = """
import importlib, json, sys

hidden, names = (set(each) for each in json.load(sys.stdin))

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"hidden: {name}", name=name)

sys.meta_path.insert(0, Hide())
failed = {}
for name in sorted(names):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        failed[name] = error.name.partition(".")[0]
json.dump(failed, sys.stdout)
"""
    process = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps([hidden, names]), capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    failed: dict[str, str] = json.loads(process.stdout)
    return failed


@pytest.mark.parametrize("line", INSTALLATIONS)
def test_an_installation_brings_these_packages(line: str) -> None:
    assert closure(line) == INSTALLATIONS[line]


@pytest.mark.parametrize(
    "dist", ["undertone[iceberg,sql]", "undertone-batch", "undertone-planner", "undertone-protos", "undertone-sidecar"]
)
def test_every_module_imports_with_only_the_packages_of_its_dist(dist: str) -> None:
    assert failed_imports(modules(Requirement(dist).name), closure(dist)) == {}


def test_the_core_of_the_command_needs_neither_sql_nor_tables() -> None:
    failed = failed_imports(modules("undertone"), closure("undertone"))
    assert {name.split(".")[1] for name in failed} == {"analytics", "publish"}


@pytest.mark.parametrize(("extra", "lacking"), [("", {"jobs", "telemetry"}), ("[telemetry]", {"jobs"}), ("[jobs]", set())])
def test_the_extras_of_the_client_provide_its_further_modules(extra: str, lacking: set[str]) -> None:
    failed = failed_imports(modules("undertone-client"), closure(f"undertone-client{extra}"))
    assert {name.split(".")[1] for name in failed} == lacking


def test_the_core_of_the_schedules_needs_no_scheduler() -> None:
    failed = failed_imports(modules("undertone-schedules"), closure("undertone-schedules"))
    assert set(failed.values()) == {"airflow", "luigi"}
    assert {name.split(".")[1] for name in failed} == {"airflow_dags", "luigi_tasks"}


def test_each_extra_of_telemetry_provides_its_own_modules() -> None:
    names = modules("undertone-telemetry")
    needed: set[str] = set()
    for extra, module in TELEMETRY_EXTRAS.items():
        others = ",".join(sorted(TELEMETRY_EXTRAS.keys() - {extra}))
        failed = failed_imports(names, closure(f"undertone-telemetry[{others}]"))
        assert set(failed.values()) == {module}
        needed |= failed.keys()
    assert failed_imports(names, closure("undertone-telemetry")).keys() == needed
    assert {f"undertone_telemetry.{name}" for name in ("jobs", "settings", "telemetry")} & needed == set()


@pytest.mark.parametrize("dist", sorted(SOURCES))
def test_every_import_is_of_a_declared_package(dist: str) -> None:
    """Also covers imports inside functions. The requirements of extras that a dist names count."""
    direct = [Requirement(line) for line in requires(dist) or []]
    declared = {dist, *(canonicalize_name(requirement.name) for requirement in direct)}
    for requirement in direct:
        lines = [Requirement(line) for line in requires(requirement.name) or []] if requirement.extras else []
        declared |= {
            canonicalize_name(line.name)
            for line in lines
            for extra in requirement.extras
            if line.marker is not None and line.marker.evaluate({"extra": extra}) and not line.marker.evaluate({"extra": ""})
        }
    undeclared = {
        f"{file.name}: {module}"
        for file in (ROOT / SOURCES[dist]).rglob("*.py")
        for module in {name.partition(".")[0] for name in imported(file)}
        if module not in sys.stdlib_module_names and not providers().get(module, set()) & declared
    }
    assert undeclared == set()


def test_the_spark_job_imports_only_public_modules_of_the_client_and_nothing_of_the_command() -> None:
    public = {
        "",
        ".errors",
        ".jobs",
        ".jobs.catalog",
        ".jobs.paragraph_length",
        ".jobs.score_columns",
        ".jobs.table_properties",
        ".telemetry",
    }
    modules = {name for file in (ROOT / SOURCES["undertone-batch"]).rglob("*.py") for name in imported(file)}
    assert {name for name in modules if name.startswith("undertone_client")} <= {f"undertone_client{name}" for name in public}
    assert not {name for name in modules if name.startswith("undertone_cli.") or name == "undertone_cli"}


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports anywhere."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
