"""The sets of values that the tests of all rendered objects use."""

from collections.abc import Mapping
from typing import Any, Final

import yaml

from tests.chart.support.paths import CHART

_BUCKET_EGRESS: Final = {"objectStore": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}]}
_PROMETHEUS: Final = {
    "monitoring": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
}
_PROMETHEUS_EGRESS: Final = [{"to": _PROMETHEUS["monitoring"]}]
_JOBS: Final = {
    "backfill": {"enabled": True, "inputs": ["/input/posts.parquet"], "args": ["--text-column=body"]},
    "daily": {"enabled": True, "inputs": ["/input/today.jsonl"]},
}

COMBINATIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "defaults": {},
    "kind": yaml.safe_load((CHART / "values-kind.yaml").read_text()),
    "development server": yaml.safe_load((CHART / "values-dev-server.yaml").read_text()),
    "image volume": {"model": {"source": "imageVolume", "version": 20261121}},
    "claim": {"model": {"source": "claim", "claim": {"name": "models", "path": "undertone"}}},
    "bucket": {"model": {"source": "objectStore", "url": "s3://models/undertone"}, "networkPolicy": _BUCKET_EGRESS},
    "no load balancer": {"loadBalancer": {"type": "none"}, "autoscaling": {"type": "none", "replicas": 3}},
    "gateway": {"loadBalancer": {"type": "gatewayAPI", "gatewayAPI": {"parentRefs": [{"name": "public"}]}}},
    "keda": {
        "autoscaling": {"type": "keda", "keda": {"prometheusUrl": "http://prometheus.monitoring:9090"}},
        "networkPolicy": _PROMETHEUS,
    },
    "scale to zero": {
        "autoscaling": {
            "type": "keda",
            "minReplicas": 0,
            "keda": {
                "prometheusUrl": "http://prometheus.monitoring:9090",
                "jobs": {"enabled": True, "paragraphsPerSecond": 12.5},
                "schedules": [{"timeZone": "Europe/Berlin", "start": "45 1 * * *", "end": "30 2 * * *", "replicas": 40}],
            },
        },
        "telemetry": {"pushgateway": "http://pushgateway.monitoring:9091"},
        "monitoring": {"monitor": "pod", "prometheusRule": True},
        "networkPolicy": {**_PROMETHEUS, "telemetry": _PROMETHEUS_EGRESS},
        "batch": {**_JOBS, "input": {"claim": "posts"}, "output": {"claim": "scores"}},
    },
    "spot": {
        "spot": {
            "enabled": True,
            "minReplicas": 0,
            "schedules": [{"timeZone": "Etc/UTC", "start": "45 1 * * *", "end": "30 2 * * *", "replicas": 40}],
            "nodePool": {
                "tolerations": [
                    {"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
                ]
            },
        },
        "autoscaling": {
            "type": "keda",
            "keda": {"prometheusUrl": "http://prometheus.monitoring:9090", "jobs": {"enabled": True}},
        },
        "telemetry": {"pushgateway": "http://pushgateway.monitoring:9091"},
        "monitoring": {"monitor": "pod", "prometheusRule": True},
        "networkPolicy": {**_PROMETHEUS, "telemetry": _PROMETHEUS_EGRESS},
        "batch": {**_JOBS, "input": {"claim": "posts"}, "output": {"claim": "scores"}},
    },
    "spot with HPA": {
        "spot": {"enabled": True, "noticeSeconds": 120},
        "monitoring": {"monitor": "service"},
        "networkPolicy": _PROMETHEUS,
    },
    "node pool": {"nodePool": {"placement": "required", "karpenter": {"enabled": True}}},
    "jobs to a claim": {"batch": {**_JOBS, "input": {"claim": "posts"}, "output": {"claim": "scores"}}},
    "jobs to a bucket": {"batch": {**_JOBS, "output": {"url": "gs://scores/undertone"}}, "networkPolicy": _BUCKET_EGRESS},
    "Spark": {"batch": {**_JOBS, "runner": "spark", "input": {"claim": "posts"}, "output": {"claim": "scores"}}},
    "Spark on Kubernetes": {
        "batch": {
            **_JOBS,
            "runner": "kubernetes",
            "output": {"url": "s3://lake/tables"},
            "table": {"catalog": {"type": "glue", "options": {"client.region": "eu-central-1"}}},
            "executors": {
                "nodeSelector": {"workload": "batch"},
                "tolerations": [{"key": "workload", "operator": "Equal", "value": "batch", "effect": "NoSchedule"}],
            },
            "env": [{"name": "AWS_REGION", "value": "eu-central-1"}],
        },
        "networkPolicy": {**_BUCKET_EGRESS, "kubernetesApi": _BUCKET_EGRESS["objectStore"]},
    },
    "TLS": {
        "loadBalancer": {"envoy": {"tls": {"secretName": "undertone-tls", "clientCASecretName": "callers"}}},
        "clients": {"tlsSecretName": "undertone-client", "mutualTls": True},
    },
    "API keys": {
        "loadBalancer": {
            "envoy": {
                "authentication": {"type": "apiKey", "apiKey": {"secretName": "api-keys"}},
                "rateLimit": {"callsPerSecond": 1000, "perCaller": {"callsPerSecond": 100}},
                "reflection": False,
            }
        },
        "clients": {"credentials": {"secretName": "api-keys"}},
    },
    "JSON Web Tokens": {
        "loadBalancer": {
            "envoy": {
                "authentication": {
                    "type": "jwt",
                    "jwt": {
                        "issuer": "https://issuer.example",
                        "audiences": ["undertone"],
                        "jwks": {"url": "https://issuer.example/keys"},
                    },
                }
            }
        },
        "networkPolicy": {"jwks": _BUCKET_EGRESS["objectStore"]},
        "clients": {"credentials": {"secretName": "token", "key": "token"}},
    },
    "PodMonitor": {
        "monitoring": {"monitor": "pod", "labels": {"release": "prometheus"}, "datadog": True, "prometheusRule": True},
        "networkPolicy": _PROMETHEUS,
    },
    "telemetry": {
        "telemetry": {
            "dogstatsd": {"mode": "node", "environment": "production"},
            "otlp": {"endpoint": "http://collector.monitoring:4317", "sample": 0.01},
            "pushgateway": "http://pushgateway.monitoring:9091",
        },
        "monitoring": {"monitor": "pod", "prometheusRule": True, "dashboards": True, "datadog": True},
        "networkPolicy": {**_PROMETHEUS, "telemetry": [*_PROMETHEUS_EGRESS, {"ports": [{"port": 8125, "protocol": "UDP"}]}]},
        "batch": {**_JOBS, "output": {"claim": "scores"}},
    },
    "ServiceMonitor": {"monitoring": {"monitor": "service"}, "networkPolicy": _PROMETHEUS},
    "canary": {
        "canary": {
            "enabled": True,
            "model": {"version": 2, "image": {"tag": "2.0.0"}},
            "weight": 2.5,
            "compare": {"inputs": ["/input/sample.jsonl"]},
        },
        "batch": {"input": {"claim": "posts"}},
        "monitoring": {"monitor": "pod"},
        "networkPolicy": _PROMETHEUS,
    },
    "mirror": {
        "canary": {"enabled": True, "model": {"source": "claim", "claim": {"name": "models"}}, "mirror": 100},
        "monitoring": {"monitor": "service"},
        "networkPolicy": _PROMETHEUS,
    },
    "minimal": {
        "serviceAccount": {"create": False},
        "networkPolicy": {"enabled": False},
        "test": {"enabled": False},
        "inference": {"maxUnavailable": None, "topologySpread": [], "priorityClassName": "serving"},
        "imagePullSecrets": [{"name": "registry"}],
    },
}
