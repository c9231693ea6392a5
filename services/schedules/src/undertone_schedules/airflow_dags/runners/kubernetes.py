"""Runs the job in a pod, with the provider package of Kubernetes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import BaseOperator

from undertone_schedules.airflow_dags.providers import import_provider

XCOM_FILE = "/airflow/xcom/return.json"
"""The file that KubernetesPodOperator's sidecar container returns as the result of the task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesRunner:
    """Runs the image `batch` in a pod: the driver, with Spark's local mode or as a client.

    Attributes:
        image: The image with `undertone-batch`, such as `ghcr.io/undertone/batch:0.1.0`.
        namespace: The namespace of the pod.
        service_account: The service account of the pod. A driver that starts executors needs one
            with the permissions of the chart's value `batch.runner`.
        environment: Environment variables, such as `PYSPARK_SUBMIT_ARGS`.
        options: Further arguments of KubernetesPodOperator, such as `container_resources`,
            `node_selector` or `pod_template_file`.
    """

    image: str
    namespace: str = "undertone"
    service_account: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def operator(self, arguments: Sequence[str], **options: Any) -> BaseOperator:
        module = "airflow.providers.cncf.kubernetes.operators.pod"
        operator = import_provider(module, "KubernetesPodOperator", extra="kubernetes", user="KubernetesRunner")
        defaults = {"on_finish_action": "delete_succeeded_pod", "get_logs": True, "do_xcom_push": True}
        summary = [f"--summary={XCOM_FILE}"] if {**defaults, **self.options}["do_xcom_push"] else []
        built: BaseOperator = operator(
            name="undertone",
            image=self.image,
            cmds=["undertone-batch"],
            arguments=[*arguments, *summary],
            namespace=self.namespace,
            service_account_name=self.service_account,
            env_vars=dict(self.environment),
            **{**defaults, **self.options},
            **options,
        )
        return built
