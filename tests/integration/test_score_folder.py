"""`undertone score` and `undertone replay` with a real service and files of several formats."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.integration.conftest import Command
from tests.integration.support.callers import paragraphs


def test_folder_is_scored_and_dead_letters_are_replayed(undertone: Command, tmp_path: Path) -> None:
    texts = paragraphs(40, longest=40, seed=11)
    overlong = "rain " * 70
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    (corpus / "2024").mkdir(parents=True)
    (corpus / "a.txt").write_text("\n\n".join(texts[:10]))
    (corpus / "2024" / "b.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in [*texts[10:20], overlong, texts[0]])
    )
    pq.write_table(pa.table({"text": texts[20:]}), corpus / "2024" / "c.parquet")

    scored = undertone("score", corpus, "--out", out, "--policy", "reject", "--rows-per-part", 15, "--min-characters", 0)
    assert (scored.exit_code, scored.stderr.count("Error")) == (1, 0)
    run = json.loads((out / "_run.json").read_text())
    assert (run["counts"]["scored"], run["counts"]["failed"], run["complete"]) == (41, 1, True)
    assert run["repeated"] >= 1
    assert run["calls"]["attempts"]["OK"] > 0
    assert [shard["paragraphs"] for shard in run["shards"]] == [15, 15, 12]
    rows = {row["id"]: row for row in pq.read_table(out).to_pylist()}
    emotions = run["model"]["labels"]
    same = [[rows[ident][emotion] for emotion in emotions] for ident in ("a/0000", "2024/b/0011")]
    assert same[0] == same[1]

    replayed = undertone("replay", out)
    assert (replayed.exit_code, "failed  1, see" in replayed.stdout) == (1, True)
    (failure,) = map(json.loads, (out / "_failures.jsonl").read_text().splitlines())
    assert (failure["id"], failure["status"]) == ("2024/b/0010", "INVALID_ARGUMENT")
    assert {row["id"] for row in pq.read_table(out).to_pylist()} == set(rows)
