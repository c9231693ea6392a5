"""skaffold.yaml: its schema, and that what it names exists.

Skaffold's own schema is in no package, so the part that is used is written down beside this file, after v4beta13. It catches a
misspelt or misplaced key; `skaffold diagnose` is the authority.
"""

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.chart.support.rendering import CHART, ROOT, Chart

SCHEMA = json.loads((Path(__file__).parent / "skaffold.schema.json").read_text())
SKAFFOLD: Mapping[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
PROFILES = {profile["name"]: profile for profile in SKAFFOLD["profiles"]}


def with_profile(name: str) -> dict[str, Any]:
    """The document with a profile's patches and build settings, as Skaffold applies them."""
    document = copy.deepcopy(dict(SKAFFOLD))
    document["build"].update(PROFILES[name].get("build", {}))
    for patch in PROFILES[name]["patches"]:
        assert patch["op"] == "add"
        *parents, last = patch["path"].split("/")[1:]
        node: Any = document
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node[part]
        node[last] = patch["value"]
    return document


def release(document: Mapping[str, Any]) -> Mapping[str, Any]:
    (found,) = document["deploy"]["helm"]["releases"]
    return dict(found)


@pytest.mark.parametrize("profile", [None, *PROFILES])
def test_fits_the_schema(profile: str | None) -> None:
    jsonschema.validate(with_profile(profile) if profile else SKAFFOLD, SCHEMA)


def test_has_the_profiles() -> None:
    assert PROFILES.keys() == {"kind", "cloud"}


def test_builds_every_image_that_the_chart_names_as_ours() -> None:
    values = (CHART / "values.yaml").read_text()
    assert {artifact["image"] for artifact in SKAFFOLD["build"]["artifacts"]} == set(
        re.findall(r"ghcr\.io/undertone/\S+", values)
    )
    for artifact in SKAFFOLD["build"]["artifacts"]:
        assert (ROOT / artifact["docker"]["dockerfile"]).is_file()


def test_puts_what_it_built_into_the_values() -> None:
    templates = release(SKAFFOLD)["setValueTemplates"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    repositories = {artifact["image"] for artifact in SKAFFOLD["build"]["artifacts"]}
    for path, template in templates.items():
        image = values
        for part in path.split(".")[:-1]:
            image = image[part]
        repositories.discard(image["repository"])
        variable = {"repository": "REPO", "tag": "TAG"}[path.rpartition(".")[2]]
        assert template == f"{{{{.IMAGE_{variable}_{re.sub('[/.:-]', '_', image['repository'])}}}}}"
    assert repositories == set()


@pytest.mark.parametrize("profile", PROFILES)
def test_the_chart_takes_each_profiles_values(chart: Chart, profile: str) -> None:
    deployed = release(with_profile(profile))
    assert ROOT / deployed["chartPath"] == CHART
    values: dict[str, Any] = {}
    for path, value in deployed.get("setValues", {}).items():
        section, _, key = path.partition(".")
        values.setdefault(section, {})[key] = value
    (file,) = deployed.get("valuesFiles", [""])
    manifests = chart.render(values, file=Path(file).name, release=deployed["name"])
    (forwarded,) = SKAFFOLD["portForward"]
    service = next(found for found in manifests.of("Service") if found["metadata"]["name"] == forwarded["resourceName"])
    assert forwarded["port"] in [port["port"] for port in service["spec"]["ports"]]
    assert forwarded["namespace"] == deployed["namespace"]


def test_kinds_profile_is_chosen_by_the_context() -> None:
    (activation,) = PROFILES["kind"]["activation"]
    assert re.fullmatch(activation["kubeContext"], "kind-undertone")
    assert not re.fullmatch(activation["kubeContext"], "production")
