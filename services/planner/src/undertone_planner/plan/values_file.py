"""Changes values in a values file. All other values, and all comments, stay as they are."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from undertone_planner.errors import ValuesError

Scalar = str | int | float


def set_values(text: str, changes: Mapping[str, Scalar]) -> str:
    """The text of a YAML file with these values, by keys such as `autoscaling.maxReplicas`.

    Raises:
        ValuesError: The text is not a YAML map, it has aliases, whose values are in several places
            at once, or it has a value where a map is needed.
    """
    before = _load(text)
    if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
        raise ValuesError("the values file has YAML aliases (*name): write their values in full, so that they can be changed")
    for key, value in changes.items():
        path = key.split(".")
        _put(before, path, value)
        if _get(_load(text), path) != value:
            text = _set(text, path, value)
    if _load(text) != before:
        raise ValuesError(
            "the values file cannot be changed without changing other values: change it by hand, or use a new file"
        )
    return text


def _load(text: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValuesError(f"the values file is not YAML: {error}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ValuesError("the values file is not a map of values: use the file that you pass to helm")
    return document


def _get(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return document


def _put(document: dict[str, Any], path: list[str], value: Scalar) -> None:
    for part in path[:-1]:
        if document.get(part) is None:
            document[part] = {}
        elif not isinstance(document[part], dict):
            raise ValuesError(f"{part} is {document[part]!r}, where the chart has a map of values: correct it")
        document = document[part]
    if isinstance(document.get(path[-1]), dict | list):
        raise ValuesError(f"{'.'.join(path)} is a map or a list, where the chart has one value: correct it")
    document[path[-1]] = value


def _set(text: str, path: list[str], value: Scalar) -> str:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is None:
        return text + ("\n" if text and not text.endswith("\n") else "") + _block(path, value, 0)
    column = 0
    while path:
        if not isinstance(node, yaml.MappingNode):
            break
        found = next((pair for pair in node.value if pair[0].value == path[0]), None)
        if found is None:
            return _insert(text, node, path, value)
        column = found[0].start_mark.column
        node, path = found[1], path[1:]
    start, end = node.start_mark.index, node.end_mark.index
    if not path:
        # An empty value has no text, not even the space after the colon.
        space = " " if start and text[start - 1] == ":" else ""
        return text[:start] + space + _text(value) + text[end:]
    # The value is null where a map is needed.
    rest = text[end:]
    return text[:start].rstrip(" ") + "\n" + _block(path, value, column + 2).rstrip("\n") + rest


def _insert(text: str, node: yaml.MappingNode, path: list[str], value: Scalar) -> str:
    """The text with a new key in a map."""
    if node.flow_style:
        position = node.start_mark.index + 1
        nested = _text(value)
        for part in reversed(path[1:]):
            nested = f"{{{part}: {nested}}}"
        return f"{text[:position]}{path[0]}: {nested}{', ' if node.value else ''}{text[position:]}"
    position = _end(node)
    newline = text.find("\n", position)
    # The text of a block scalar ends at the start of the next line.
    at = position if position and text[position - 1] == "\n" else (len(text) if newline < 0 else newline + 1)
    head = text[:at] if text[:at].endswith("\n") else text[:at] + "\n"
    return head + _block(path, value, node.value[0][0].start_mark.column) + text[at:]


def _end(node: yaml.Node) -> int:
    """Where the last value of a node ends. The end mark of a block includes comments after it."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _block(path: list[str], value: Scalar, column: int) -> str:
    return "".join(_lines(path, value, column))


def _lines(path: list[str], value: Scalar, column: int) -> Iterator[str]:
    for depth, part in enumerate(path[:-1]):
        yield f"{' ' * (column + 2 * depth)}{part}:\n"
    yield f"{' ' * (column + 2 * (len(path) - 1))}{path[-1]}: {_text(value)}\n"


def _text(value: Scalar) -> str:
    dumped = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n")
    return str(dumped).strip()
