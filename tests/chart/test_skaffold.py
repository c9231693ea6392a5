"""skaffold.yaml: its schema, and the files, images and values that it names.

No package contains the schema of Skaffold. skaffold.schema.json describes the part of v4beta13 that
skaffold.yaml uses, and finds misspelt and misplaced keys; `skaffold diagnose` checks the rest.
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
from undertone_bench.chart import Chart

from tests.chart.support.paths import CHART, ROOT

SCHEMA = json.loads((Path(__file__).parent / "skaffold.schema.json").read_text())
SKAFFOLD: Mapping[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
PROFILES = {profile["name"]: profile for profile in SKAFFOLD["profiles"]}


def with_profile(name: str | None) -> Mapping[str, Any]:
    """The document after Skaffold has applied the build settings and the patches of a profile."""
    document = copy.deepcopy(dict(SKAFFOLD))
    if name is None:
        return document
    document["build"].update(PROFILES[name].get("build", {}))
    for patch in PROFILES[name]["patches"]:
        assert patch["op"] == "add"
        *parents, last = patch["path"].split("/")[1:]
        node: Any = document
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node[part]
        if isinstance(node, list):
            assert last == "-"
            node.append(patch["value"])
        else:
            node[last] = patch["value"]
    return document


def release(document: Mapping[str, Any]) -> Mapping[str, Any]:
    (found,) = document["deploy"]["helm"]["releases"]
    return dict(found)


def values_of(profile: str | None) -> dict[str, Any]:
    """values.yaml with the values files of a profile over it."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for file in release(with_profile(profile)).get("valuesFiles", ()):
        merge(values, yaml.safe_load((ROOT / file).read_text()))
    return dict(values)


def merge(values: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    for key, value in overrides.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            merge(values[key], value)
        else:
            values[key] = value


@pytest.mark.parametrize("profile", [None, *PROFILES])
def test_matches_the_schema(profile: str | None) -> None:
    jsonschema.validate(with_profile(profile), SCHEMA)


def test_has_the_profiles() -> None:
    assert PROFILES.keys() == {"kind", "cloud"}


@pytest.mark.parametrize("profile", [None, *PROFILES])
def test_builds_our_images_and_passes_them_to_the_chart(profile: str | None) -> None:
    document = with_profile(profile)
    built = {artifact["image"]: artifact["docker"]["dockerfile"] for artifact in document["build"]["artifacts"]}
    assert set(built) == set(re.findall(r"ghcr\.io/undertone/[\w-]+", json.dumps(values_of(profile))))
    assert all((ROOT / dockerfile).is_file() for dockerfile in built.values())
    passed: dict[str, set[str]] = {}
    for path, template in release(document)["setValueTemplates"].items():
        image: Any = values_of(profile)
        *parents, field = path.split(".")
        for part in parents:
            image = image[part]
        variable = {"repository": "REPO", "tag": "TAG"}[field]
        assert template == f"{{{{.IMAGE_{variable}_{re.sub('[/.:-]', '_', image['repository'])}}}}}"
        passed.setdefault(image["repository"], set()).add(field)
    assert passed == {image: {"repository", "tag"} for image in built}


@pytest.mark.parametrize("profile", PROFILES)
def test_chart_accepts_the_values_of_each_profile(chart: Chart, profile: str) -> None:
    deployed = release(with_profile(profile))
    assert ROOT / deployed["chartPath"] == CHART
    values: dict[str, Any] = {}
    for path, value in deployed.get("setValues", {}).items():
        section, _, key = path.partition(".")
        values.setdefault(section, {})[key] = value
    files = tuple(Path(file).name for file in deployed.get("valuesFiles", ()))
    manifests = chart.render(values, files=files, release=deployed["name"])
    (forwarded,) = SKAFFOLD["portForward"]
    service = next(found for found in manifests.of("Service") if found["metadata"]["name"] == forwarded["resourceName"])
    assert forwarded["port"] in [port["port"] for port in service["spec"]["ports"]]
    assert forwarded["namespace"] == deployed["namespace"]


def test_context_of_kind_activates_its_profile() -> None:
    (activation,) = PROFILES["kind"]["activation"]
    assert re.fullmatch(activation["kubeContext"], "kind-undertone")
    assert not re.fullmatch(activation["kubeContext"], "production")
