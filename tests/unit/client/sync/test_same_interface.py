"""The methods of both clients have the same names, parameters and documentation."""

import inspect
import typing
from collections.abc import AsyncGenerator, Generator

import pytest
import undertone_client
from undertone_client.sync import Client

METHODS = ("__init__", "classify", "classify_batch", "score", "model", "state")


def test_both_clients_have_the_same_public_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(Client) - public(undertone_client.Client) == {"close", "score_frame"}
    assert public(undertone_client.Client) <= public(Client)


@pytest.mark.parametrize("method", METHODS)
def test_both_clients_have_the_same_parameters_defaults_and_results(method: str) -> None:
    ours, theirs = getattr(Client, method), getattr(undertone_client.Client, method)
    assert inspect.signature(ours).parameters.keys() == inspect.signature(theirs).parameters.keys()
    for name, parameter in inspect.signature(theirs).parameters.items():
        own = inspect.signature(ours).parameters[name]
        assert (own.kind, own.default) == (parameter.kind, parameter.default)
    hints, asyncio_hints = typing.get_type_hints(ours), typing.get_type_hints(theirs)
    if method == "score":
        assert asyncio_hints.pop("return") == AsyncGenerator[undertone_client.Outcome, None]
        assert hints.pop("return") == Generator[undertone_client.Outcome, None, None]
        assert hints.pop("paragraphs") in typing.get_args(asyncio_hints.pop("paragraphs"))
    assert hints == asyncio_hints


@pytest.mark.parametrize("method", METHODS[1:])
def test_both_clients_have_the_same_docstrings(method: str) -> None:
    ours, theirs = (inspect.getdoc(getattr(kind, method)) for kind in (Client, undertone_client.Client))
    assert ours is not None
    assert theirs is not None
    if method == "score":  # how the generator ends and where the source is read differ
        ours, theirs = (text.partition("consumer.")[0] + text.partition("ordered: ")[2] for text in (ours, theirs))
    assert ours == theirs
