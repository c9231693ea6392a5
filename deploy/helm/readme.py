"""Writes the README of the chart: an introduction, and a table of values from values.yaml.

`python deploy/helm/readme.py` writes the file. With --check it compares only, and exits with 1 if
the file is out of date.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

CHART = Path(__file__).parent / "undertone"
INTRODUCTION = """\
# undertone

Serves emotion scores of paragraphs on Kubernetes 1.29 or newer. Each pod contains a preprocessing
sidecar and TF Serving. The pods run on tainted nodes with fast CPUs and scale at 70 % CPU
utilization. Envoy balances each gRPC call separately, and also accepts JSON.

    helm install undertone oci://ghcr.io/undertone/charts/undertone \\
      --namespace undertone --create-namespace
    helm test undertone --namespace undertone

From a checkout of the repository:

    helm install undertone deploy/helm/undertone --namespace undertone --create-namespace

- [Operations](../../../docs/how-to/operations.md): install, configure, observe, scale,
  upgrade, alerts.
- [Node pools](../../../docs/how-to/node-pools.md) on EKS, GKE and AKS.
- [A fleet that is ready](../../../docs/how-to/fleet.md): pods for jobs with a deadline, scaling to
  zero, spot nodes.
- `values-kind.yaml` configures small pods for the cluster in
  [deploy/kind/cluster.yaml](../../kind/cluster.yaml).
- `values-dev-server.yaml` replaces TF Serving with the development server, for clusters that cannot
  run its image.

## Values

The schema (`values.schema.json`) rejects unknown names and invalid values.
`python deploy/helm/readme.py` makes this table from `values.yaml`.

"""


@dataclass(frozen=True, slots=True)
class Value:
    """A key of values.yaml.

    `path` joins the keys with dots. `default` is the default as written, "" for a section.
    `comment` is the comment above the key.
    """

    path: str
    default: str
    comment: str


def values(text: str) -> Iterator[Value]:
    """The values of a values.yaml in order, and the sections that have a comment.

    A list, and a mapping on one line, is one value.
    """
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)  # noqa: S101 - the chart's own file
    yield from _values(root, (), text, _comments(text))


def _values(node: yaml.MappingNode, parents: tuple[str, ...], text: str, comments: dict[int, str]) -> Iterator[Value]:
    for key, value in node.value:
        path = (*parents, key.value)
        comment = comments.get(key.start_mark.line, "")
        if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
            if comment:
                yield Value(".".join(path), "", comment)
            yield from _values(value, path, text, comments)
        else:
            yield Value(".".join(path), _source(value, text), comment)


def _source(node: yaml.Node, text: str) -> str:
    """The text of a value in the file, or a reference to the file if it has more than one line."""
    source = text[node.start_mark.index : node.end_mark.index].strip()
    return "see values.yaml" if "\n" in source else source


def _comments(text: str) -> dict[int, str]:
    """The comments directly above lines, by line number from 0."""
    comments: dict[int, str] = {}
    block: list[str] = []
    for number, line in enumerate(text.splitlines()):
        if line.strip().startswith("#"):
            block.append(line.strip().removeprefix("#").strip())
            continue
        if block and line.strip():
            comments[number] = " ".join(block)
        block = []
    return comments


def render(text: str) -> str:
    """The README for a values.yaml."""
    rows = [f"| `{value.path}` | {_code(value.default)} | {_markdown(value.comment)} |" for value in values(text)]
    return INTRODUCTION + "\n".join(("| Value | Default | Description |", "|---|---|---|", *rows)) + "\n"


def _code(default: str) -> str:
    return default if default in ("", "see values.yaml") else f"`{_escape_bars(default)}`"


def _markdown(text: str) -> str:
    """The text as a cell of a Markdown table. Outside code, < would start HTML."""
    spans = _escape_bars(text).split("`")
    spans[::2] = [span.replace("<", "&lt;") for span in spans[::2]]
    return "`".join(spans)


def _escape_bars(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Writes the README of the chart from values.yaml.")
    parser.add_argument("--check", action="store_true", help="compare only; exit with 1 if the README is out of date")
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
