"""The command undertone-sidecar plan."""

import json
import re
from pathlib import Path

import pytest
from undertone_sidecar.__main__ import main

from tests.unit.support.machines import quota_files, write_machine


def test_the_plan_is_printed_as_text_json_or_shell_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = f"--root={write_machine(tmp_path, flags='avx512f avx512_vnni', files=quota_files(2))}"
    assert main(["plan", root]) == 0
    text = capsys.readouterr().out
    assert "2 CPUs (8 hardware threads on 8 physical cores, a cgroup quota of 2)" in text
    assert "AVX512-VNNI (for a model in fp32; bf16 is emulated" in text
    assert "--tensorflow_intra_op_parallelism=1 --tensorflow_inter_op_parallelism=2 --grpc_max_threads=10" in text
    assert "--model-calls=2" in text
    assert main(["plan", root, "--json", "--model-server-cpus=3500m"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cpus"], found["cpu_quota"], found["tensorflow_inter_op_parallelism"]) == (2.0, 2.0, 3)
    assert main(["plan", root, "--format", "shell"]) == 0
    assert "export UNDERTONE_TENSORFLOW_INTER_OP_PARALLELISM=2\n" in capsys.readouterr().out


def test_a_full_output_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        with pytest.raises(SystemExit, check=lambda ended: ended.code == 1):
            main(["plan", f"--root={write_machine(tmp_path)}"])
    assert capfd.readouterr().err == "undertone-sidecar: standard output cannot be written: No space left on device\n"


def test_the_plan_has_the_memory_of_the_machine_and_of_a_model(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = json.loads((base / "1/contract.json").read_text())
    contract["architecture"] = {"layers": 12, "hiddenSize": 768, "intermediateSize": 3072, "attentionHeads": 12}
    (base / "1/contract.json").write_text(json.dumps(contract))
    files = quota_files(2) | {"sys/fs/cgroup/memory.max": str(4 * 2**30)}
    arguments = ["plan", f"--root={write_machine(tmp_path, files=files)}", f"--model-dir={base}"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert re.search(r"^memory +1\.\d+ GiB \(weights 0\.\d+ GiB, 2 calls of .*\), for emotions version 1$", text, re.MULTILINE)
    assert main([*arguments, "--json", "--batch-tokens=8192"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["memory_bytes"], found["model_server_memory"]) == (4 * 2**30, 3 * 2**30)
    assert found["estimated_memory_bytes"] > 2**30
    assert main([*arguments, "--format=shell"]) == 0
    assert f"export UNDERTONE_MODEL_SERVER_MEMORY={3 * 2**30}" in capsys.readouterr().out
    assert main([*arguments, "--format=shell", "--model-server-cpus=2"]) == 0
    assert "MODEL_SERVER_MEMORY" not in capsys.readouterr().out
    assert main(["plan", f"--model-dir={tmp_path}"]) == 3
    assert "no version has a contract.json: use the folder that contains the versions" in capsys.readouterr().err


def test_the_plan_tells_how_many_physical_cores_the_cpus_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = f"--root={write_machine(tmp_path, allowed='0-15', threads=2, files=quota_files(2))}"
    assert main(["plan", root]) == 0
    text = capsys.readouterr().out
    assert (
        "2 CPUs are 2 hardware threads: as fast as 1 physical cores while all hardware threads of the machine are busy" in text
    )
    assert "--model-calls=2" in text
    assert main(["plan", root, "--json", "--model-server-cpus=4", "--threads-per-core=2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["threads_per_core"], found["busy_physical_cores"], found["model_calls"]) == (2, 2.0, 2)


def test_oversubscription_is_refused_with_numbers_and_remedy_or_corrected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"--root={write_machine(tmp_path, files=quota_files(2))}"
    arguments = ["plan", root, "--tokenizer-threads=8", "--model-server-threads=64", "--model-calls=3"]
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "--tokenizer-threads is 8, but the sidecar has 2 CPUs (8 hardware threads" in output.err
    assert "--model-server-threads is 64, but the model server runs on the sidecar's CPUs: 2 CPUs" in output.err
    assert "start it with --tensorflow_intra_op_parallelism=1" in output.err
    assert "--model-calls is 3, with one thread each, but the model server runs on the sidecar's CPUs: 2 CPUs" in output.err
    assert main([*arguments, "--auto"]) == 0
    output = capsys.readouterr()
    assert "--tokenizer-threads=1 --model-calls=2" in output.out
    assert output.err.count("corrected") == 3


def test_an_invalid_format_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--format=xml"]) == 2
    assert "'xml' is not one of 'text', 'json', 'shell'" in capsys.readouterr().err


def test_settings_of_the_sidecar_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERTONE_PORT", "many")
    assert main(["plan"]) == 0
