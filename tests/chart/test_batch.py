"""The Job and the CronJob that score collections."""

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from undertone_batch.command import undertone_batch
from undertone_bench.chart import Chart, Manifest
from undertone_cli.commands.score import score

from tests.chart.support.combinations import COMBINATIONS
from tests.chart.support.pods import pod_spec

CLAIM = COMBINATIONS["jobs to a claim"]
BUCKET = COMBINATIONS["jobs to a bucket"]


def backfill(chart: Chart, values: Mapping[str, Any]) -> Manifest:
    return chart.render(values).one("CronJob", "-backfill")


def backfill_spec(chart: Chart, values: Mapping[str, Any]) -> Manifest:
    """The spec of the Jobs that kubectl creates."""
    spec: Manifest = backfill(chart, values)["spec"]["jobTemplate"]["spec"]
    return spec


def command(container: Manifest, folder: Path, program: str) -> list[str]:
    """The output of a container's command, with a script `program` in place of `undertone`."""
    (folder / "undertone").write_text(f"#!/bin/sh\n{program}\n")
    (folder / "undertone").chmod(0o755)
    ran = subprocess.run(
        [*container["command"], *container["args"]],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.splitlines()


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


def test_daily_runs_are_not_concurrent(chart: Chart) -> None:
    spec = chart.render(CLAIM).one("CronJob", "-daily")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == ("0 2 * * *", "Etc/UTC", False)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 3)
    assert spec["startingDeadlineSeconds"] == 3600
    # Each run ends before the next one starts.
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 86400


def test_backfill_runs_the_undertone_command(chart: Chart, tmp_path: Path) -> None:
    (container,) = pod_spec(backfill(chart, CLAIM))["containers"]
    output = command(container, tmp_path, 'printf "%s\\n" "$@"')
    assert output == ["score", "--out", "/output/backfill", "--text-column=body", "--", "/input/posts.parquet"]
    # The command accepts the options and reports only the missing input.
    invoked = CliRunner().invoke(score, [*output[1:2], str(tmp_path / "out"), *output[3:]])
    assert (invoked.exit_code, "/input/posts.parquet" in invoked.output) == (2, True)
    assert "option" not in invoked.output


def test_spark_runs_the_batch_command_with_one_table(chart: Chart) -> None:
    manifests = chart.render(COMBINATIONS["Spark"])
    jobs = {mode: manifests.one("CronJob", f"-{mode}")["spec"]["jobTemplate"]["spec"] for mode in ("backfill", "daily")}
    for mode, job in jobs.items():
        (container,) = job["template"]["spec"]["containers"]
        command: list[str] = [*container["command"], *container["args"]]
        assert command[0] == "undertone-batch"
        given = undertone_batch.commands["run"].make_context("run", command[2:]).params
        assert (given["mode"], given["table"], given["warehouse"]) == (mode, "emotions.scores", "/output")
        assert given["locations"] == (f"/input/{'posts.parquet' if mode == 'backfill' else 'today.jsonl'}",)
        assert "PYSPARK_SUBMIT_ARGS" not in [variable["name"] for variable in container["env"]]


def test_spark_receives_the_configured_options(chart: Chart) -> None:
    batch = {**COMBINATIONS["Spark"]["batch"], "sparkSubmitArgs": ["--master=local[4]", "--conf=spark.app.note=a b"]}
    (container,) = pod_spec(backfill(chart, {"batch": batch}))["containers"]
    (value,) = [variable["value"] for variable in container["env"] if variable["name"] == "PYSPARK_SUBMIT_ARGS"]
    assert shlex.split(value) == ["--master=local[4]", "--conf=spark.app.note=a b", "pyspark-shell"]


def test_spark_writes_to_the_bucket(chart: Chart) -> None:
    pod = pod_spec(backfill(chart, {**BUCKET, "batch": {**BUCKET["batch"], "runner": "spark"}}))
    assert "initContainers" not in pod
    assert "--warehouse=gs://scores/undertone" in pod["containers"][0]["command"]


def test_daily_runs_write_to_a_directory_for_each_day(chart: Chart, tmp_path: Path) -> None:
    (container,) = pod_spec(chart.render(CLAIM).one("CronJob", "-daily"))["containers"]
    (folder,) = command(container, tmp_path, 'printf "%s\\n" "$3"')
    assert [len(part) for part in folder.removeprefix("/output/daily/").split("-")] == [4, 2, 2]


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
