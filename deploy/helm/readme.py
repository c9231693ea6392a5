"""Writes the chart's README: its head, and the table of values.yaml with the comments that stand there.

`python deploy/helm/readme.py` writes; with --check it only compares, and ends with 1 where the README is out of date.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

CHART = Path(__file__).parent / "undertone"
HEAD = """\
# undertone

Serves the emotions of paragraphs on Kubernetes (1.29 or newer): pods with the preprocessing sidecar and TF Serving, on a
tainted pool of fast CPUs, scaled at 70 % CPU, behind Envoy, which balances single gRPC calls and speaks JSON as well.

    helm install undertone deploy/helm/undertone --namespace undertone --create-namespace
    helm test undertone --namespace undertone

[docs/how-to/operations.md](../../../docs/how-to/operations.md) says how to install, upgrade, roll back, drain and debug it;
[docs/how-to/node-pools.md](../../../docs/how-to/node-pools.md) how to make the nodes on EKS, GKE and AKS.
`values-kind.yaml` suits the
cluster of [deploy/kind/cluster.yaml](../../kind/cluster.yaml).

## Values

Names that do not exist and values out of range are refused (`values.schema.json`). This table is made from `values.yaml` by
`python deploy/helm/readme.py`.

"""


@dataclass(frozen=True, slots=True)
class Value:
    """A line of values.yaml: the key's path with dots, the default as written ("" for a section), the comment above it."""

    path: str
    default: str
    comment: str


def values(text: str) -> Iterator[Value]:
    """The values of values.yaml in their order: sections that have a comment, and everything that is set.

    Mappings written in one line, and lists, are one value.
    """
    comments = _comments(text)
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)  # noqa: S101 - it is our own file
    yield from _of(root, (), text, comments)


def _of(node: yaml.MappingNode, path: tuple[str, ...], text: str, comments: dict[int, str]) -> Iterator[Value]:
    for key, value in node.value:
        here = (*path, key.value)
        comment = comments.get(key.start_mark.line, "")
        if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
            if comment:
                yield Value(".".join(here), "", comment)
            yield from _of(value, here, text, comments)
        else:
            yield Value(".".join(here), _written(value, text), comment)


def _written(node: yaml.Node, text: str) -> str:
    """The default as it stands in the file; a list of several lines only as what it is."""
    written = text[node.start_mark.index : node.end_mark.index].strip()
    return "see values.yaml" if "\n" in written else written


def _comments(text: str) -> dict[int, str]:
    """Comment above each line that has one directly above, by the line's number from 0."""
    comments: dict[int, str] = {}
    gathered: list[str] = []
    for number, line in enumerate(text.splitlines()):
        if line.strip().startswith("#"):
            gathered.append(line.strip().removeprefix("#").strip())
            continue
        if gathered and line.strip():
            comments[number] = " ".join(gathered)
        gathered = []
    return comments


def render(text: str) -> str:
    """The README for a values.yaml."""
    rows = [f"| `{value.path}` | {_cell(value.default)} | {_escaped(value.comment)} |" for value in values(text)]
    return HEAD + "\n".join(("| value | default | what |", "|---|---|---|", *rows)) + "\n"


def _cell(default: str) -> str:
    return default if default in ("", "see values.yaml") else f"`{_bars(default)}`"


def _escaped(text: str) -> str:
    """As Markdown shows it in a table: outside of code, < would begin HTML."""
    spans = _bars(text).split("`")
    spans[::2] = [span.replace("<", "&lt;") for span in spans[::2]]
    return "`".join(spans)


def _bars(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Writes the chart's README from its values.yaml.")
    parser.add_argument("--check", action="store_true", help="compare only; exit code 1 where it is out of date")
    check = parser.parse_args(arguments).check
    readme = CHART / "README.md"
    rendered = render((CHART / "values.yaml").read_text(encoding="utf-8"))
    if not check:
        readme.write_text(rendered, encoding="utf-8")
    elif not readme.exists() or readme.read_text(encoding="utf-8") != rendered:
        print(f"{readme} is out of date; run python deploy/helm/readme.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
