"""Choice of the precision, and the comparison with fp32 by `export` and `verify`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from undertone_model import gate
from undertone_model.__main__ import undertone_model
from undertone_model.cli import export as cli_export
from undertone_model.cli.export import fastest_precision
from undertone_model.data import Sample
from undertone_model.startup import LOG_LEVEL


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f amx_tile amx_bf16\n", "bf16"),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\n", "bf16"),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_vnni\n", "fp32"),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", "fp32"),
        ("", "fp32"),
    ],
)
def test_cpu_flags_determine_the_precision(tmp_path: Path, cpuinfo: str, expected: str) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert fastest_precision(tmp_path / "cpuinfo") == expected


def test_precision_without_cpu_information_is_fp32(tmp_path: Path) -> None:
    assert fastest_precision(tmp_path / "none") == "fp32"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--languages", "de"], "--languages de needs --sample: a file of texts in these languages"),
        (["--languages", "en,", "--sample"], "'en,' has an empty code: use ISO 639-1 codes such as en,de, or none"),
        (["--languages", "en,xx", "--sample"], "--languages 'xx' is unknown to the language detector"),
        (["--languages", "de", "--sample"], "at least 100 texts, but tales.txt has 4"),
    ],
)
def test_languages_need_texts(tiny: Path, sample: Sample, tmp_path: Path, options: list[str], message: str) -> None:
    tales = tmp_path / "tales.txt"
    tales.write_text("\n".join(sample.texts))
    arguments = ["export", str(tmp_path), "--checkpoint", str(tiny), "--precision", "fp32", *options]
    result = CliRunner().invoke(undertone_model, [*arguments, *([str(tales)] if options[-1] == "--sample" else [])])
    assert result.exit_code != 0
    assert message in " ".join(result.output.replace("│", " ").split())


def test_a_checkpoint_has_flags_only_with_languages(tiny: Path, tmp_path: Path) -> None:
    for name, options in (("without", []), ("with", ["--languages", "en"])):
        arguments = ["export", str(tmp_path), "--checkpoint", str(tiny), "--name", name, "--precision", "fp32", *options]
        result = CliRunner().invoke(undertone_model, arguments)
        assert result.exit_code == 0, result.output
    verified = CliRunner().invoke(undertone_model, ["verify", str(tmp_path / "with"), "--checkpoint", str(tiny)])
    assert "flags: languages en; thresholds fitted on stories/train+dev" in verified.output
    without, with_flags = (json.loads((tmp_path / name / "1/contract.json").read_text()) for name in ("without", "with"))
    assert "flag_thresholds" not in without
    assert (with_flags["flag_thresholds"]["languages"], with_flags["flag_thresholds"]["sample"]) == (
        ["en"],
        "stories/train+dev",
    )


def test_commands_compare_bf16_with_fp32_and_fall_back_to_fp32(
    tiny: Path, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOG_LEVEL, "2")
    (tmp_path / "tales.txt").write_text("\n".join(sample.texts))

    def run(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(undertone_model, [str(argument) for argument in arguments], prog_name="undertone-model")
        return result.exit_code, result.output

    options = ("--checkpoint", tiny, "--sample", tmp_path / "tales.txt")
    monkeypatch.setattr(gate, "MAX_SHIFT", 1.0)
    monkeypatch.setattr(gate, "MAX_LABEL_FLIPS", 1.0)
    code, output = run("export", tmp_path, *options, "--precision", "bf16")
    assert code == 0, output
    code, output = run("verify", tmp_path / "tiny", *options)
    assert code == 0, output
    assert "tiny version 1, bf16, single-label, 9 labels" in output
    assert "4 texts of tales.txt have a different label than in fp32" in output
    monkeypatch.setattr(gate, "MAX_SHIFT", 1e-9)
    monkeypatch.setattr(cli_export, "fastest_precision", lambda: "bf16")
    code, output = run("export", tmp_path / "auto", *options)
    assert code == 0, output
    assert "Warning: " in output
    assert "use --precision fp32. The export is therefore in fp32." in output
    assert json.loads((tmp_path / "auto/tiny/1/contract.json").read_text())["precision"] == "fp32"
    code, output = run("verify", tmp_path / "tiny", *options)
    assert code == 1
    assert "the largest difference of a probability is 0." in output
    code, output = run("verify", tmp_path / "tiny", "--sample", tmp_path / "none")
    assert code == 1
    assert "none does not exist" in output


def test_default_sample_does_not_depend_on_the_working_directory(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOG_LEVEL, "2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate, "MAX_SHIFT", 1.0)
    monkeypatch.setattr(gate, "MAX_LABEL_FLIPS", 1.0)
    monkeypatch.setattr(cli_export, "fastest_precision", lambda: "bf16")
    result = CliRunner().invoke(undertone_model, ["export", "models", "--checkpoint", str(tiny), "--max-tokens", "16"])
    assert result.exit_code == 0, result.output
    agreement = json.loads((tmp_path / "models/tiny/1/contract.json").read_text())["agreement"]
    assert (agreement["sample"], agreement["rows"]) == ("stories/held-out", 594)
