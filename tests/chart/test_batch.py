"""The Job and the CronJob that score collections."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from undertone_batch.command import undertone_batch
from undertone_bench.chart import Chart, Manifest, Manifests
from undertone_cli.commands.score import score
from undertone_client.jobs.catalog import CatalogType, TableOptions, table_options

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.containers import run_container
from tests.chart.support.pods import pod_spec

CLAIM = COMBINATIONS["jobs to a claim"]
BUCKET = COMBINATIONS["jobs to a bucket"]
TABLE_OPTIONS = ("--table=", "--warehouse=", "--catalog-")


def backfill(chart: Chart, values: Mapping[str, Any]) -> Manifest:
    return chart.render(values).one("CronJob", "-backfill")


def backfill_spec(chart: Chart, values: Mapping[str, Any]) -> Manifest:
    """The spec of the Jobs that kubectl creates."""
    spec: Manifest = backfill(chart, values)["spec"]["jobTemplate"]["spec"]
    return spec


def test_default_creates_no_jobs(chart: Chart) -> None:
    assert not chart.render().of("Job")
    assert not chart.render().of("CronJob")


def test_backfill_has_a_deadline_and_retries(chart: Chart) -> None:
    spec = backfill_spec(chart, CLAIM)
    assert (spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (86400, 6)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("runner", ["client", "spark"])
def test_jobs_wait_for_the_service_as_long_as_the_values_say(chart: Chart, runner: str) -> None:
    for seconds, expected in ((None, "1800"), (90, "90")):
        batch = {**CLAIM["batch"], "runner": runner, **({} if seconds is None else {"patienceSeconds": seconds})}
        container = pod_spec(backfill(chart, {**CLAIM, "batch": batch}))["containers"][0]
        assert {"name": "UNDERTONE_PATIENCE", "value": expected} in container["env"]


def test_finished_backfill_is_kept_by_default(chart: Chart) -> None:
    assert "ttlSecondsAfterFinished" not in backfill_spec(chart, CLAIM)
    batch = {**CLAIM["batch"], "backfill": {**CLAIM["batch"]["backfill"], "keepSeconds": 0}}
    assert backfill_spec(chart, {**CLAIM, "batch": batch})["ttlSecondsAfterFinished"] == 0


def test_invalid_options_fail_the_job_and_evictions_do_not_count(chart: Chart) -> None:
    ignored, failed = backfill_spec(chart, CLAIM)["podFailurePolicy"]["rules"]
    assert (ignored["action"], ignored["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert failed["action"] == "FailJob"
    assert failed["onExitCodes"] == {"containerName": "score", "operator": "In", "values": [2]}


def test_no_job_is_an_object_of_the_release_because_helm_waits_for_jobs(chart: Chart) -> None:
    for values in (CLAIM, BUCKET, COMBINATIONS["Spark"]):
        manifests = chart.render(values)
        assert not manifests.of("Job")
        backfill, daily = manifests.one("CronJob", "-backfill"), manifests.one("CronJob", "-daily")
        assert (backfill["spec"]["suspend"], daily["spec"]["suspend"]) == (True, False)


def test_notes_have_the_command_that_starts_a_backfill(chart: Chart) -> None:
    assert "create job --from cronjob/spring-undertone-backfill backfill-1" in chart.notes(CLAIM)
    assert "create job" not in chart.notes()


def test_backfill_runs_the_undertone_command(chart: Chart, tmp_path: Path) -> None:
    (container,) = pod_spec(backfill(chart, CLAIM))["containers"]
    output = run_container(container, tmp_path, 'printf "%s\\n" "$@"')
    assert output == ["score", "--out", "/output/backfill", "--text-column=body", "--", "/input/posts.parquet"]
    # The command accepts the options and reports only the missing input.
    invoked = CliRunner().invoke(score, [*output[1:2], str(tmp_path / "out"), *output[3:]])
    assert (invoked.exit_code, "/input/posts.parquet" in invoked.output) == (2, True)
    assert "option" not in invoked.output


def table_of(container: Manifest) -> TableOptions:
    """The table that the options of a container's command describe."""
    parsed: list[TableOptions] = []
    click.command()(table_options("", required=True)(lambda table: parsed.append(table))).main(
        [option for option in container["args"] if option.startswith(TABLE_OPTIONS)], standalone_mode=False
    )
    return parsed[0]


@pytest.mark.parametrize("combination", ["Spark", "Spark on Kubernetes"])
def test_spark_runs_the_batch_command_with_one_table(chart: Chart, combination: str) -> None:
    manifests = chart.render(COMBINATIONS[combination])
    tables = []
    for mode in ("backfill", "daily"):
        (container,) = pod_spec(manifests.one("CronJob", f"-{mode}"))["containers"]
        assert container["command"] == ["undertone-batch", "run", f"--mode={mode}"]
        given = undertone_batch.commands["run"].make_context("run", [*container["command"][2:], *container["args"]]).params
        assert (given["mode"], given["table_format"]) == (mode, "iceberg")
        assert given["locations"] == (f"/input/{'posts.parquet' if mode == 'backfill' else 'today.jsonl'}",)
        tables.append(table_of(container))
    assert tables[0] == tables[1]
    catalog = tables[0].catalog
    assert str(tables[0].name) == "emotions.scores"
    if combination == "Spark":
        assert (catalog.type, catalog.warehouse) == (CatalogType.SQLITE, "/output")
        assert "PYSPARK_SUBMIT_ARGS" not in [variable["name"] for variable in container["env"]]
    else:
        assert (catalog.type, catalog.warehouse) == (CatalogType.GLUE, "s3://lake/tables")
        assert catalog.options == {"client.region": "eu-central-1"}


def test_warehouse_and_catalogue_of_the_table_can_be_set(chart: Chart) -> None:
    catalog = {"type": "rest", "uri": "https://catalog.example/api", "options": {"credential": "$(CREDENTIAL)"}}
    table = {"name": "stories.emotions", "warehouse": "production", "catalog": catalog}
    batch = {**COMBINATIONS["Spark on Kubernetes"]["batch"], "output": {}, "table": table}
    values = {**COMBINATIONS["Spark on Kubernetes"], "batch": batch}
    given = table_of(pod_spec(backfill(chart, values))["containers"][0])
    assert (str(given.name), given.catalog.warehouse) == ("stories.emotions", "production")
    assert (given.catalog.uri, given.catalog.options) == (catalog["uri"], catalog["options"])


def test_table_of_parquet_files_is_in_the_volume(chart: Chart) -> None:
    spark = COMBINATIONS["Spark"]["batch"]
    batch = {**spark, "table": {"format": "parquet"}, "daily": {"enabled": False}}
    (container,) = pod_spec(backfill(chart, {"batch": batch}))["containers"]
    assert "--table-format=parquet" in container["args"]
    assert table_of(container).catalog.warehouse == "/output"


def test_spark_receives_the_configured_options(chart: Chart) -> None:
    batch = {**COMBINATIONS["Spark"]["batch"], "sparkSubmitArgs": ["--master=local[4]", "--conf=spark.app.note=a b"]}
    (container,) = pod_spec(backfill(chart, {"batch": batch}))["containers"]
    assert spark_arguments(container) == ["--master=local[4]", "--conf=spark.app.note=a b", "pyspark-shell"]


def spark_arguments(container: Manifest) -> list[str]:
    (value,) = [variable["value"] for variable in container["env"] if variable["name"] == "PYSPARK_SUBMIT_ARGS"]
    return shlex.split(value)


def on_kubernetes(chart: Chart, **values: Any) -> Manifests:
    base = COMBINATIONS["Spark on Kubernetes"]
    return chart.render({**base, "batch": {**base["batch"], **values}})


def test_own_options_take_precedence_over_those_of_the_chart(chart: Chart) -> None:
    manifests = on_kubernetes(chart, sparkSubmitArgs=["--conf=spark.authenticate=false"])
    arguments = spark_arguments(pod_spec(manifests.one("CronJob", "-daily"))["containers"][0])
    settings = dict(argument.removeprefix("--conf=").split("=", 1) for argument in arguments if argument.startswith("--conf="))
    assert settings["spark.authenticate"] == "false"
    assert settings["spark.driver.host"] == "$(POD_IP)"


def test_executors_are_fixed_or_dynamic(chart: Chart) -> None:
    def settings(**values: Any) -> set[str]:
        manifests = on_kubernetes(chart, executors={"instances": 7, **values})
        return set(spark_arguments(pod_spec(manifests.one("CronJob", "-daily"))["containers"][0]))

    assert "--conf=spark.executor.instances=7" in settings()
    dynamic = settings(minInstances=0)
    assert "--conf=spark.executor.instances=7" not in dynamic
    assert {f"--conf=spark.dynamicAllocation.{limit}" for limit in ("minExecutors=0", "maxExecutors=7")} <= dynamic


def executor_pod(manifests: Manifests) -> Manifest:
    template: Manifest = yaml.safe_load(manifests.one("ConfigMap", "-executor")["data"]["executor.yaml"])
    return template


def test_executors_run_where_the_jobs_run_unless_they_have_own_values(chart: Chart) -> None:
    spot = {"key": "spot", "operator": "Exists"}
    jobs = {"nodeSelector": {"pool": "batch"}, "tolerations": [spot], "priorityClassName": "low"}
    same = executor_pod(on_kubernetes(chart, **jobs, executors={}))["spec"]
    assert {name: same[name] for name in jobs} == jobs
    own = executor_pod(on_kubernetes(chart, **jobs, executors={"nodeSelector": {}, "priorityClassName": ""}))["spec"]
    assert (own["nodeSelector"], own["tolerations"]) == ({}, [spot])
    assert "priorityClassName" not in own


def test_executors_have_the_credentials_and_volumes_of_the_jobs(chart: Chart) -> None:
    base = COMBINATIONS["Spark on Kubernetes"]
    values = {**base, "batch": {**base["batch"], "input": {"claim": "posts"}}, **COMBINATIONS["API keys"]}
    manifests = chart.render(values)
    executor, job = executor_pod(manifests)["spec"], pod_spec(manifests.one("CronJob", "-daily"))
    volumes = [volume for volume in job["volumes"] if volume["name"] != "executor"]
    assert executor["volumes"] == volumes
    assert {"credentials", "input", "output", "tmp"} == {volume["name"] for volume in volumes}
    (container,), (driver,) = executor["containers"], job["containers"]
    assert container["volumeMounts"] == [mount for mount in driver["volumeMounts"] if mount["name"] != "executor"]
    assert base["batch"]["env"][0] in container["env"]


def test_only_drivers_have_a_token_and_manage_pods(chart: Chart) -> None:
    manifests = on_kubernetes(chart)
    job = pod_spec(manifests.one("CronJob", "-daily"))
    (account,) = [one for one in manifests.of("ServiceAccount") if one["metadata"]["name"] == job["serviceAccountName"]]
    assert account["metadata"]["name"] == "spring-undertone-driver"
    (binding,), (role,) = manifests.of("RoleBinding"), manifests.of("Role")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": "reading"}]
    assert [rule["resources"] for rule in role["rules"]] == [["pods"]]
    given = on_kubernetes(chart, serviceAccount={"create": False, "name": "spark"})
    assert pod_spec(given.one("CronJob", "-daily"))["serviceAccountName"] == "spark"
    assert not [*given.of("Role"), *given.of("RoleBinding")]


def test_cloud_role_of_the_release_is_also_that_of_the_drivers(chart: Chart) -> None:
    annotations = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/undertone"}
    manifests = chart.render({**COMBINATIONS["Spark on Kubernetes"], "serviceAccount": {"annotations": annotations}})
    assert [account["metadata"]["annotations"] for account in manifests.of("ServiceAccount")] == [annotations] * 2


def test_spark_writes_to_the_bucket(chart: Chart) -> None:
    batch = {**BUCKET["batch"], "runner": "spark", "table": {"catalog": {"type": "glue"}}}
    pod = pod_spec(backfill(chart, {**BUCKET, "batch": batch}))
    assert "initContainers" not in pod
    assert "--warehouse=gs://scores/undertone" in pod["containers"][0]["args"]


def test_inputs_are_read_only_and_results_persistent(chart: Chart) -> None:
    pod = pod_spec(backfill(chart, CLAIM))
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["input"]["persistentVolumeClaim"] == {"claimName": "posts", "readOnly": True}
    assert volumes["output"]["persistentVolumeClaim"] == {"claimName": "scores"}


def test_results_are_copied_to_the_bucket_after_scoring(chart: Chart) -> None:
    pod = pod_spec(backfill(chart, BUCKET))
    assert [container["name"] for container in pod["initContainers"]] == ["score"]
    (upload,) = pod["containers"]
    assert upload["args"][-2:] == ["/output", ":gcs:scores/undertone"]


def test_jobs_call_the_load_balancer(chart: Chart) -> None:
    for combination, target in (
        ("jobs to a claim", "spring-undertone-envoy.reading.svc:50051"),
        ("no load balancer", "dns:///spring-undertone-inference.reading.svc:50051"),
    ):
        values = {**COMBINATIONS[combination], "batch": CLAIM["batch"]}
        (container,) = pod_spec(backfill(chart, values))["containers"]
        assert {"name": "UNDERTONE_TARGET", "value": target} in container["env"]


def test_clients_use_tls_if_the_load_balancer_does(chart: Chart) -> None:
    (container,) = chart.render(COMBINATIONS["TLS"]).one("Pod")["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert environment["UNDERTONE_TLS"] == "true"
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "tls"]
    for name in ("UNDERTONE_CA_FILE", "UNDERTONE_CERT", "UNDERTONE_KEY"):
        assert environment[name].startswith(mount["mountPath"])


def test_helm_test_classifies_a_paragraph(chart: Chart) -> None:
    pod = chart.render().one("Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    assert container["command"][:2] == ["undertone", "classify"]
