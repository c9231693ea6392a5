"""The recipes for EMR: the AWS command line runs them against a simulated AWS."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3  # type: ignore[import-untyped]
import pytest
import yaml
from awscli.clidriver import create_clidriver
from undertone_batch.command import undertone_batch
from undertone_bench.chart import Chart

from tests.integration.support.simulated_aws import simulated_aws

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs/how-to/emr.md").read_text()
REGION: Final = "eu-central-1"


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def files() -> dict[str, Any]:
    """The JSON files of the page, by the names in the paragraphs before them."""
    found = re.findall(r"^`(\w+\.json)`[^`]*?:\n\n```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert len(found) == len(fences("json"))
    return {name: json.loads(content) for name, content in found}


def commands() -> Iterator[tuple[str, list[str]]]:
    """The commands of the page, each with the name of the shell variable for its output."""
    for fence in fences("sh"):
        for statement in re.findall(r"(?:[^\\\n]|\\\n)+", fence):
            parsed = re.fullmatch(r"(?:(\w+)=\$\()?aws (.*?)(?(1)\))", statement.replace("\\\n", " "), re.DOTALL)
            assert parsed, f"the test does not understand {statement!r}"
            yield parsed[1] or "", shlex.split(parsed[2])


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The URL of a simulated AWS. The working folder has the files of the page."""
    with simulated_aws() as url:
        settings = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        for name, content in files().items():
            (tmp_path / name).write_text(json.dumps(content))
        for name in ("build/undertone-spark.tar.gz", "services/batch/src/undertone_batch/__main__.py"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        monkeypatch.chdir(tmp_path)
        yield url


def run_page(capsys: pytest.CaptureFixture[str], identifiers: dict[str, str]) -> dict[str, list[str]]:
    """Runs all commands. Returns the outputs by service and operation."""
    variables: dict[str, str] = {}
    outputs: dict[str, list[str]] = {}
    for variable, arguments in commands():
        words = [variables.get(word.removeprefix("$"), word) if word.startswith("$") else word for word in arguments]
        for example, real in identifiers.items():
            words = [word.replace(example, real) for word in words]
        code = create_clidriver().main(words)
        printed = capsys.readouterr()
        assert code == 0, f"{words}: {printed.err}"
        if variable:
            variables[variable] = printed.out.strip()
        outputs.setdefault(" ".join(words[:2]), []).append(printed.out)
    return outputs


def test_command_line_runs_the_page(aws: str, capsys: pytest.CaptureFixture[str]) -> None:
    ec2 = boto3.client("ec2", endpoint_url=aws, region_name=REGION)
    network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    routes = ec2.create_route_table(VpcId=network)["RouteTable"]["RouteTableId"]
    account = boto3.client("sts", endpoint_url=aws, region_name=REGION).get_caller_identity()["Account"]
    outputs = run_page(
        capsys, {"111122223333": account, "vpc-1a2b3c4d": network, "subnet-1a2b3c4d": subnet, "rtb-1a2b3c4d": routes}
    )

    (created,) = outputs["emr create-cluster"]
    emr = boto3.client("emr", endpoint_url=aws, region_name=REGION)
    cluster = json.loads(created)["ClusterId"]
    groups = {group["InstanceGroupType"]: group for group in emr.list_instance_groups(ClusterId=cluster)["InstanceGroups"]}
    described = {kind: (group["InstanceType"], group["RequestedInstanceCount"]) for kind, group in groups.items()}
    assert described == {"MASTER": ("r5.xlarge", 1), "CORE": ("r5.4xlarge", 5)}
    volumes = {kind: group["EbsBlockDevices"][0]["VolumeSpecification"]["SizeInGB"] for kind, group in groups.items()}
    assert volumes == {"MASTER": 64, "CORE": 256}
    details = emr.describe_cluster(ClusterId=cluster)["Cluster"]
    assert (details["ReleaseLabel"], details["AutoTerminate"]) == ("emr-7.13.0", True)
    assert [entry["Classification"] for entry in details["Configurations"]] == ["iceberg-defaults", "spark-defaults"]
    (step,) = emr.list_steps(ClusterId=cluster)["Steps"]
    assert step["Config"]["Args"][:1] == ["spark-submit"]
    for service in ("emr-containers", "emr-serverless"):
        (job,) = outputs[f"{service} start-job-run"]
        assert json.loads(job)


def spark_and_job(arguments: list[str], program: str) -> tuple[list[str], list[str]]:
    """The options of spark-submit and of the job."""
    position = arguments.index(program)
    return arguments[:position], arguments[position + 1 :]


def test_job_accepts_the_arguments_of_the_recipes() -> None:
    found = files()
    program = "s3://lake/jobs/undertone.py"
    jobs = [spark_and_job(found["steps.json"][0]["Args"], program)]
    for name, driver in (("containers.json", "sparkSubmitJobDriver"), ("serverless.json", "sparkSubmit")):
        parameters = found[name][driver]
        assert parameters["entryPoint"] == program
        jobs.append((shlex.split(parameters["sparkSubmitParameters"]), parameters["entryPointArguments"]))
    for spark, job in jobs:
        assert job[0] == "run"
        given = undertone_batch.commands["run"].make_context("run", job[1:]).params
        assert (given["table"], given["catalog_type"]) == ("emotions.stories", "glue")
        assert given["warehouse"] == "s3://lake/tables"
        # All options have values.
        options = [word for word in spark if word.startswith("--")]
        assert spark[::2] == options
        assert all("=" in value for option, value in zip(options, spark[1::2], strict=True) if option == "--conf")


def test_chart_accepts_the_values_of_the_page(chart: Chart) -> None:
    (values,) = fences("yaml")
    service = chart.render(yaml.safe_load(values)).one("Service", "-envoy")
    assert service["spec"]["type"] == "LoadBalancer"


def test_permissions_name_the_bucket_and_the_database_of_the_table() -> None:
    statements = files()["permissions.json"]["Statement"]
    resources = [
        resource
        for one in statements
        for resource in ([one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"])
    ]
    assert "arn:aws:s3:::lake/tables/*" in resources
    assert any(resource.endswith(":table/emotions/*") for resource in resources)
    actions = [
        action for one in statements for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    ]
    assert not [action for action in actions if "*" in action]
