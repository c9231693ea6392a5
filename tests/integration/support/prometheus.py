"""Prometheus and Pushgateway as processes."""

import http.client
import json
import math
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from undertone_bench.envoy import LOOPBACK
from undertone_bench.processes import free_ports

from tests.chart.support.prometheus import find
from tests.integration.support.envoy import request
from tests.integration.support.processes import Process


@dataclass(frozen=True, slots=True)
class Target:
    """A scrape target, with the labels that a PodMonitor would add."""

    port: int
    labels: Mapping[str, str]
    path: str = "/metrics"
    honor_labels: bool = False


class Web(Process):
    """A server of the Prometheus project on a free port."""

    def __init__(self, program: str, folder: Path, *flags: str) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://{LOOPBACK}:{self.port}"
        super().__init__(
            str(find(program)),
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--log.level=warn",
            *flags,
            log=folder / f"{program}.log",
        )

    def until_ready(self) -> Self:
        self.until(self._ready, "it is ready")
        return self

    def get(self, path: str) -> bytes:
        answer = request(self.port, "GET", path)
        if answer.status != http.client.OK:
            raise OSError(f"{self.name} answers {answer.status} to {path}: {answer.body.decode()}")
        return answer.body

    def _ready(self) -> bool:
        try:
            self.get("/-/ready")
        except OSError:
            return False
        return True


class Pushgateway(Web):
    """A Pushgateway."""

    def __init__(self, folder: Path) -> None:
        super().__init__("prometheus-pushgateway", folder)


class Prometheus(Web):
    """A Prometheus that scrapes targets and evaluates rules every second."""

    def __init__(self, folder: Path, targets: Sequence[Target], groups: Sequence[Mapping[str, Any]]) -> None:
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
        scrapes = [
            {
                "job_name": f"target-{number}",
                "metrics_path": target.path,
                "honor_labels": target.honor_labels,
                "static_configs": [{"targets": [f"{LOOPBACK}:{target.port}"], "labels": dict(target.labels)}],
            }
            for number, target in enumerate(targets)
        ]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": scrapes,
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        super().__init__(
            "prometheus", folder, f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'series'}"
        )

    def query(self, expression: str) -> list[float]:
        """The current values of an expression, without NaN."""
        answer = json.loads(self.get(f"/api/v1/query?query={urllib.parse.quote(expression)}"))
        return [value for sample in answer["data"]["result"] if not math.isnan(value := float(sample["value"][1]))]

    def firing(self) -> set[str]:
        """The names of the firing alerts."""
        alerts = json.loads(self.get("/api/v1/alerts"))["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def errors(self) -> list[str]:
        """The errors of rules and scrapes."""
        groups = json.loads(self.get("/api/v1/rules"))["data"]["groups"]
        rules = [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")]
        targets = json.loads(self.get("/api/v1/targets"))["data"]["activeTargets"]
        return rules + [target["lastError"] for target in targets if target["health"] != "up"]
