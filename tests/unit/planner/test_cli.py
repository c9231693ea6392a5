import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from undertone_planner.cli import main
from undertone_planner.plan.node_types import PACKAGED_TABLE

CLOSED_FORM = ("--no-simulate",)
BATCH = ("--paragraphs", "2_000_000", "--within", "24h", *CLOSED_FORM)


def run(*arguments: str) -> None:
    """Run the command in this process. A plan ends without an exit code."""
    main(arguments)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and message of a command that ends with an error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


def test_a_plan_shows_its_figures_what_limits_it_and_the_alternatives(capsys: pytest.CaptureFixture[str]) -> None:
    run(*BATCH, "--node-type", "c7a.4xlarge", "--node-type", "c7i.4xlarge")
    shown = capsys.readouterr().out
    for text in (
        "2,000,000 paragraphs within 24.0 h",
        "measured with undertone-bench pod",
        "AWS us-east-1",
        "autoscaling.minReplicas and maxReplicas",
        "limited by   ",
        "ready pods",
        "What if (closed form)",
        "bf16 on c7i.4xlarge (AMX)",
        "emotions on c7i.4xlarge, bf16",
    ):
        assert text in shown


def test_a_plan_of_a_short_job_or_of_readers_has_figures_above_zero(capsys: pytest.CaptureFixture[str]) -> None:
    run("--paragraphs", "1000", "--within", "1h", *CLOSED_FORM)
    assert re.search(r"hours +0\.0*[1-9]\d* \([1-9]\d* paragraphs a second", capsys.readouterr().out)
    run("--readers-per-second", "1", "--p99", "1", *CLOSED_FORM)
    assert "16 (hardware threads), 16 core-hours in an hour" in capsys.readouterr().out


def test_json_has_the_plan_its_course_and_the_alternatives(capsys: pytest.CaptureFixture[str]) -> None:
    run(*BATCH, "--json")
    document = json.loads(capsys.readouterr().out)
    plan = document["plan"]
    assert plan["course"][0]["backlog"] == plan["paragraphs"] == 2_000_000
    assert plan["course"][-1]["backlog"] == 0
    assert plan["hours"] <= 24 / 1.1
    assert plan["cost_per_million"] == pytest.approx(plan["cost"] / 2)
    assert plan["limitations"][0]["reason"]
    assert document["what_if"][0]["pods"] == plan["pods"]
    assert {each["name"] for each in document["what_if"]} >= {"this plan", "spot"}


def test_inputs_give_lengths_and_paragraphs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "novel.txt").write_text("\n\n".join(["A long and quiet evening. " * 16] * 30 + ["Short."]))
    run(str(tmp_path / "novel.txt"), "--within", "1h", *CLOSED_FORM, "--json")
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert plan["paragraphs"] == 30
    assert plan["mean_tokens"] == pytest.approx(103, abs=1)


def test_values_are_written_with_their_comments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("# ours\nautoscaling:\n  maxReplicas: 50  # the quota\nbatch: {runner: kubernetes}\n")
    run(*BATCH, "--values", str(path), "--write", str(path))
    written = path.read_text()
    assert written.startswith("# ours\nautoscaling:\n  maxReplicas: ")
    assert "# the quota" in written
    values = yaml.safe_load(written)
    assert values["autoscaling"]["maxReplicas"] < 50
    assert values["batch"]["backfill"]["deadlineSeconds"] == 86400
    assert values["batch"]["executors"]["instances"] >= 1
    assert str(path) in capsys.readouterr().err


def test_a_plot_is_written(tmp_path: Path) -> None:
    run(*BATCH, "--json", "--png", str(tmp_path / "course.png"))
    assert (tmp_path / "course.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_of_node_types_can_be_copied_and_edited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--show-node-types")
    table = capsys.readouterr().out
    assert table == PACKAGED_TABLE.read_text(encoding="utf-8")
    path = tmp_path / "types.toml"
    path.write_text(table.replace("on_demand = 0.82112", "on_demand = 8.2112"))
    costs = []
    for options in ((), ("--node-types", str(path))):
        run(*BATCH, "--json", *options)
        costs.append(json.loads(capsys.readouterr().out)["plan"]["cost"])
    assert costs[1] == pytest.approx(10 * costs[0])


def test_prices_are_shown_in_the_currency_of_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "types.toml"
    path.write_text(PACKAGED_TABLE.read_text().replace('currency = "USD"', 'currency = "EUR"'))
    run("--paragraphs=1000000", "--within=2h", "--no-simulate", f"--node-types={path}")
    shown = capsys.readouterr().out
    assert "EUR " in shown
    assert "$" not in shown


def test_a_plan_that_cannot_work_names_the_constraint_and_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    code, message = refused(capsys, "--paragraphs", "900_000_000", "--within", "12h", *CLOSED_FORM)
    assert code == 1
    assert message.startswith("Error: no plan: maxReplicas: the plan needs ")
    assert "raise autoscaling.maxReplicas to" in message
    assert "or give" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is no load: add --paragraphs"),
        (("--paragraphs", "10"), "--paragraphs needs --within"),
        (("--within", "1h"), "--within needs --paragraphs"),
        (("--readers-per-second", "10"), "--readers-per-second needs --p99"),
        (("--p99", "1"), "--p99 needs --readers-per-second"),
        (("--paragraphs", "1", "--within", "soon"), "'soon' is not a duration: use for example 96h"),
        (("--paragraphs", "0", "--within", "1h"), "0 is not in the range"),
        (("--pargraphs", "1"), "Did you mean '--paragraphs'"),
        ((*BATCH, "--node-type", "c7i.4xlrge"), "Did you mean 'c7i.4xlarge'"),
        ((*BATCH, "--calibration", "emotion"), "Did you mean 'emotions'"),
        (("--readers-per-second", "10", "--p99", "2", "--png", "x.png"), "--png plots the course of a batch job"),
        (("missing.txt", "--within", "1h"), "missing.txt"),
        (("--readers-per-second", "inf", "--p99", "1"), "--readers-per-second is infinite: use a finite number"),
        ((*BATCH, "--calibrated-on", "c7a.4xlrge"), "Did you mean 'c7a.4xlarge'"),
        ((*BATCH, "--calibrated-on", "c7a.4xlarge"), "--calibrated-on has no effect with --calibration emotions"),
        ((*BATCH, "--tokenizer", __file__), "--tokenizer is for the paragraphs of an INPUT"),
        (("--readers-per-second", "1", "--p99", "1", "--clients", "2"), "--clients is for a batch job: add --within"),
        ((*BATCH, "--png", "missing/plan.png"), "there is no folder missing: create it, or name another"),
        ((*BATCH, "--write", "missing/values.yaml"), "there is no folder missing: create it, or name another"),
    ],
)
def test_wrong_options_name_the_value_and_the_remedy(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown = refused(capsys, *arguments)
    assert code == 2
    assert message in shown


def test_a_file_that_is_not_that_of_the_values_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("a: 1\n")
    code, shown = refused(capsys, *BATCH, "--write", str(path))
    assert code == 2
    assert "pass it with --values too" in shown
    assert path.read_text() == "a: 1\n"


def test_values_that_cannot_be_changed_are_found_before_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("autoscaling: &same {maxReplicas: 5}\nspot: *same\n")
    with pytest.raises(SystemExit):
        main((*BATCH, "--values", str(path), "--write", str(path)))
    shown = capsys.readouterr()
    assert "has YAML aliases (*name): write their values in full" in shown.err
    assert not shown.out


def test_a_calibration_file_in_bf16_needs_its_node_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from undertone_planner.plan.named_calibration import NamedCalibration

    path = tmp_path / "pod.json"
    NamedCalibration.find("emotions").calibration.write(path)
    assert "add --calibrated-on" in refused(capsys, *BATCH, "--calibration", str(path))[1]
    assert "does not support" in refused(capsys, *BATCH, "--calibration", str(path), "--calibrated-on", "c6i.4xlarge")[1]
    run(*BATCH, "--calibration", str(path), "--calibrated-on", "c7a.4xlarge", "--json")
    from_file = json.loads(capsys.readouterr().out)["plan"]
    run(*BATCH, "--json")
    assert from_file["hours"] == json.loads(capsys.readouterr().out)["plan"]["hours"]


def test_the_help_has_sections_and_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    run("--help")
    shown = capsys.readouterr().out
    for title in ("Lengths of the paragraphs:", "Load:", "Site:", "Plan:", "Examples:", "Exit codes:"):
        assert f"\n{title}\n" in shown or f"\n  {title}\n" in shown
    assert shown.index("--tokenizer") < shown.index("--within") < shown.index("--max-nodes") < shown.index("--write")


def test_the_process_prints_version_and_completion() -> None:
    command = [sys.executable, "-m", "undertone_planner"]
    version = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True)
    assert version.stdout.startswith("undertone-plan, version ")
    completion = {"_UNDERTONE_PLAN_COMPLETE": "bash_source", "PATH": "/usr/bin:/bin"}
    script = subprocess.run(command, check=False, capture_output=True, text=True, env=completion)
    assert "_UNDERTONE_PLAN_COMPLETE=bash_complete" in script.stdout


def test_the_process_plans_in_the_fleet_model_and_writes_all_results(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    command = [sys.executable, "-m", "undertone_planner", "--paragraphs=300_000", "--within=2h", f"--write={values}"]
    done = subprocess.run([*command, "--calibration=bert-base", "--json"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)["plan"]
    assert 0 < plan["simulated_seconds"] <= plan["seconds"] <= 2 * 3600 / 1.1
    assert yaml.safe_load(values.read_text())["autoscaling"]["maxReplicas"] == plan["pods"]


@pytest.mark.parametrize(
    ("option", "start", "expected"), [("--node-type", "c7", "c7a.4xlarge"), ("--calibration", "be", "bert-base")]
)
def test_the_shell_completes_names(option: str, start: str, expected: str) -> None:
    variables = {"COMP_WORDS": f"undertone-plan {option} {start}", "COMP_CWORD": "2", "PATH": "/usr/bin:/bin"}
    environment = {**variables, "_UNDERTONE_PLAN_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "undertone_planner"], check=False, capture_output=True, text=True, env=environment
    )
    assert f"plain,{expected}" in done.stdout.splitlines()
