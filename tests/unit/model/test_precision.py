"""bf16: which machine computes in it, what the graph is then, and the gate that it has to pass."""

import json
import platform
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from undertone_model import gate, precision, sample, sources, verify
from undertone_model.cli.group import undertone_model
from undertone_model.cli.startup import LOG_LEVEL
from undertone_model.contract import INPUTS
from undertone_model.errors import DataError, ExportError, VerificationError
from undertone_model.export import export
from undertone_model.gate import Agreement, agreement
from undertone_model.goldens import Goldens
from undertone_model.sample import Sample
from undertone_model.sources import Source
from undertone_model.testing import tiny_checkpoint

TEXTS = Sample("tales", "ab" * 32, ("the sea and the rain", "her letter waited", "laughed, wept", "the night door"))


@pytest.fixture(scope="module")
def source(tiny: Path) -> Source:
    """The tiny model, less sure than it is: the difference of a probability is as small as a trained model's."""
    return replace(sources.from_folder(tiny), temperature=8.0)


@pytest.fixture(scope="module")
def rounded(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export in bf16. Read only."""
    return export(source, tmp_path_factory.mktemp("models"), "tiny", precision="bf16", sample=TEXTS)


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
def test_a_machine_computes_in_bf16_if_its_cpu_can(tmp_path: Path, cpuinfo: str, expected: str) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert precision.of_machine(tmp_path / "cpuinfo") == expected


def test_a_machine_that_does_not_tell_computes_in_fp32(tmp_path: Path) -> None:
    assert precision.of_machine(tmp_path / "none") == "fp32"


def test_the_contract_has_precision_and_agreement(rounded: Path) -> None:
    contract = json.loads((rounded / "contract.json").read_text())
    assert contract["precision"] == "bf16"
    shift = contract["agreement"].pop("largest_shift")
    assert 0 < shift < 0.02
    # Label flips of 0 are left out, as JSON of protobuf does.
    assert contract["agreement"] == {"sample": "tales", "sample_sha256": "ab" * 32, "rows": 4}


def test_matrices_are_stored_in_bf16_and_computed_in_it_with_all_fusions(rounded: Path, exported: Path) -> None:
    sizes = [(folder / "variables/variables.data-00000-of-00001").stat().st_size for folder in (rounded, exported)]
    assert sizes[0] < 0.75 * sizes[1]
    ids = np.ones((4, 16), np.int32)
    metadata = tf.compat.v1.RunMetadata()
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(rounded)).signature_def["serving_default"]
        session.run(
            signature.outputs["probabilities"].name,
            {signature.inputs[name].name: ids for name in INPUTS},
            options=tf.compat.v1.RunOptions(output_partition_graphs=True),
            run_metadata=metadata,
        )
    if platform.machine() != "x86_64":
        pytest.skip("oneDNN's fusions are those of x86-64")
    nodes = [node for graph in metadata.partition_graphs for node in graph.node]
    fused = Counter(
        ("+".join(name.decode() for name in node.attr["fused_ops"].list.s), tf.dtypes.as_dtype(node.attr["T"].type).name)
        for node in nodes
        if "fused_ops" in node.attr
    )
    assert fused == {
        ("BiasAdd", "bfloat16"): 2 * 5,
        ("BiasAdd+GeluExact", "bfloat16"): 2,
        ("BiasAdd+Tanh", "bfloat16"): 1,
        ("BiasAdd", "float32"): 1,
        ("Mul+Add", "float32"): 2,
    }
    assert sum(node.op == "_MklLayerNorm" for node in nodes) == 1 + 2 * 2


def test_reference_outputs_agree_as_far_as_bf16_goes(source: Source, rounded: Path, tiny_goldens: Goldens) -> None:
    found = verify.verify(rounded, tiny_goldens, source, TEXTS)
    assert found.rows == len(tiny_goldens.input_ids)
    assert 1e-5 < found.largest_difference < verify.TOLERANCE["bf16"]
    assert found.agreement is not None
    assert (found.agreement.rows, found.agreement.label_flips) == (4, 0.0)


def test_a_spoilt_export_is_refused(source: Source, rounded: Path, tmp_path: Path) -> None:
    """Of like weights but not of these: form and contract are right, and the answers are not."""
    other = replace(sources.from_folder(tiny_checkpoint(tmp_path / "other", seed=1)), temperature=8.0)
    spoilt = Path(shutil.copytree(rounded, tmp_path / "tiny" / "1"))
    shutil.rmtree(spoilt / "variables")
    theirs = export(other, tmp_path / "others", "tiny", precision="bf16", sample=TEXTS)
    shutil.copytree(theirs / "variables", spoilt / "variables")
    verify.verify(spoilt)
    with pytest.raises(VerificationError, match=r"% of 4 texts of tales get another label .* is 0\.\d{4} \(allowed 0\.02\)"):
        verify.verify(spoilt, None, source, TEXTS)


def test_an_export_that_does_not_pass_is_not_written(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "LARGEST_SHIFT", 1e-9)
    with pytest.raises(VerificationError, match=r"m/1: 0\.00% of 4 texts .*\(allowed 1e-09\); export it with --precision fp32"):
        export(sources.from_folder(tiny), tmp_path, "m", precision="bf16", sample=TEXTS)
    assert list((tmp_path / "m").iterdir()) == []


def test_an_export_in_bf16_needs_a_sample_unless_its_weights_are_random(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="an export in bf16 needs a sample"):
        export(sources.from_folder(tiny), tmp_path, "m", precision="bf16")
    unknown = replace(sources.from_folder(tiny), weights_sha256="")
    contract = json.loads((export(unknown, tmp_path, "m", precision="bf16") / "contract.json").read_text())
    assert contract["precision"] == "bf16"
    assert "agreement" not in contract


def test_weights_of_another_export_are_refused(source: Source, rounded: Path) -> None:
    with pytest.raises(VerificationError, match=r"was made from \w{12}…, not from cdcdcdcdcdcd…; name its weights"):
        verify.verify(rounded, None, replace(source, weights_sha256="cd" * 32), TEXTS)


@pytest.mark.parametrize(
    ("flips", "shift", "passes"),
    [(0.005, 0.02, True), (0.00501, 0.0, False), (0.0, 0.0201, False), (0.0, float("nan"), False)],
)
def test_the_gate_is_where_it_says(tmp_path: Path, flips: float, shift: float, passes: bool) -> None:
    found = Agreement("tales", "", 400, flips, shift)
    if passes:
        found.check(tmp_path)
    else:
        with pytest.raises(VerificationError, match="400 texts of tales"):
            found.check(tmp_path)


def test_flips_are_counted_and_the_largest_shift_is_found() -> None:
    expected = np.array([[0.9, 0.1], [0.4, 0.6], [0.51, 0.49], [0.2, 0.8]])
    found = expected + np.array([[0.0, 0.0], [0.01, -0.01], [-0.02, 0.02], [0.05, -0.05]])
    result = agreement(TEXTS, found, expected)
    assert result == Agreement("tales", "ab" * 32, 4, 0.25, result.largest_shift)
    assert result.largest_shift == pytest.approx(0.05)


def test_a_sample_is_a_file_of_lines_or_of_objects_or_a_folder_of_stories(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("At last, home!\n\nRain.\n")
    (tmp_path / "a.jsonl").write_text('{"text": "Rain."}\n')
    rows = [{"id": f"sea/joy/0{number}", "emotion": "joy", "text": f"{number}"} for number in (6, 7, 8, 9)]
    (tmp_path / "stories").mkdir()
    (tmp_path / "stories" / "sea.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert sample.read(tmp_path / "a.txt").texts == ("At last, home!", "Rain.")
    assert sample.read(tmp_path / "a.jsonl").texts == ("Rain.",)
    held_out = sample.read(tmp_path / "stories")
    assert (held_out.name, held_out.texts) == ("stories/held-out", ("8", "9", "7"))
    assert len({sample.read(path).sha256 for path in tmp_path.iterdir()}) == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "holds no texts"), ("{}\n", "line 1: expected an object with a text"), ('{"text": 1}', "line 1"), ("\n[", "line 2")],
)
def test_a_sample_that_is_none_is_named(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(DataError, match=rf"a\.jsonl,? {reason}"):
        sample.read(tmp_path / "a.jsonl")


def test_a_sample_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt does not exist"):
        sample.read(tmp_path / "a.txt")


def test_the_command_compares_with_fp32_and_ends_with_1_if_it_differs(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOG_LEVEL, "2")
    (tmp_path / "tales.txt").write_text("\n".join(TEXTS.texts))

    def run(*arguments: object) -> tuple[int, str]:
        found = CliRunner().invoke(undertone_model, [str(argument) for argument in arguments], prog_name="undertone-model")
        return found.exit_code, found.output

    given = ("--checkpoint", tiny, "--sample", tmp_path / "tales.txt")
    monkeypatch.setattr(gate, "LARGEST_SHIFT", 1.0)
    monkeypatch.setattr(gate, "MOST_FLIPS", 1.0)
    code, said = run("export", tmp_path, *given, "--precision", "bf16")
    assert code == 0, said
    code, said = run("verify", tmp_path / "tiny", *given)
    assert code == 0, said
    assert "tiny version 1, bf16, 9 labels" in said
    assert "4 texts of tales.txt get another label than in fp32" in said
    monkeypatch.setattr(gate, "LARGEST_SHIFT", 1e-9)
    monkeypatch.setattr(precision, "of_machine", lambda: "bf16")
    code, said = run("export", tmp_path / "auto", *given)
    assert code == 0, said
    assert "Warning: " in said
    assert "export it with --precision fp32, as it is now" in said
    assert json.loads((tmp_path / "auto/tiny/1/contract.json").read_text())["precision"] == "fp32"
    code, said = run("verify", tmp_path / "tiny", *given)
    assert code == 1
    assert "the largest difference of a probability is 0." in said
    code, said = run("verify", tmp_path / "tiny", "--sample", tmp_path / "none")
    assert code == 1
    assert "none does not exist" in said
