"""The schema of the values, beside their defaults and the flags of the sidecar."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import jsonschema
import yaml
from undertone_sidecar.settings import Settings

from tests.chart.support.paths import CHART

SCHEMA: Mapping[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES: Mapping[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SET_BY_THE_CHART = {
    "dogstatsd",
    "drain-delay-seconds",
    "drain-serving-seconds",
    "max-message-bytes",
    "grace-period-seconds",
    "host",
    "metrics-port",
    "model-dir",
    "model-name",
    "model-server",
    "model-server-cpus",
    "otlp-endpoint",
    "port",
    "threads-per-core",
    "trace-sample",
    "tls-cert",
    "tls-key",
    "tls-client-ca",
    "health-port",
    "http-port",
    "cache-redis",
    "cache-redis-ca",
    "cache-redis-cert",
    "cache-redis-key",
    "cache-redis-password",
    "cache-redis-password-file",
    "cache-redis-timeout-seconds",
    "cache-redis-ttl-seconds",
}
REMOVED_FLAGS = {"batching"}
"""The schema accepts them, so that the chart's own message can name the remedy."""


def test_schema_is_valid_and_closed() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    open_objects = [
        path for path, node in _objects(SCHEMA, "") if node.get("additionalProperties", True) is True and "properties" in node
    ]
    assert open_objects == []


def _objects(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, value in node.items():
            yield from _objects(value, f"{path}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _objects(value, f"{path}/{number}")


def test_values_file_has_a_default_for_every_value_of_the_schema() -> None:
    # The canary's model has those of `model`.
    missing = [path for path in _missing(SCHEMA, VALUES, "") if path != "global" and not path.startswith("canary.model.")]
    assert missing == []


def _missing(schema: Mapping[str, Any], values: Any, path: str) -> Iterator[str]:
    """The properties of the schema that the values do not have."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    optional = {"scaleUp", "scaleDown", "resources", "requests", "limits", "settings"}
    for name, below in schema.get("properties", {}).items():
        here = f"{path}.{name}".removeprefix(".")
        if not isinstance(values, dict) or name not in values:
            yield here
        elif name not in optional:
            yield from _missing(below, values[name], here)


def test_schema_has_all_flags_of_the_sidecar() -> None:
    flags = {field.name.replace("_", "-") for field in fields(Settings)}
    listed = set(SCHEMA["properties"]["sidecar"]["properties"]["settings"]["properties"])
    assert listed.isdisjoint(SET_BY_THE_CHART)
    assert listed - REMOVED_FLAGS | SET_BY_THE_CHART == flags
