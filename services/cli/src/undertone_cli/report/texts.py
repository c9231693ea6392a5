"""Texts of a few scored paragraphs, found again in the inputs by their hash: a text that has changed is not found."""

from collections.abc import Collection, Iterable, Iterator

from undertone_client.jobs import InputError

from undertone_cli.job.manifest import Identity
from undertone_cli.sources import Catalogue, Item


def find_texts(identity: Identity, wanted: Collection[str]) -> dict[str, str]:
    """Texts by hash, of those whose SHA-256 is wanted and that still stand in the run's inputs; reads no more than it must."""
    return _matching(_items(identity), set(wanted))


def _matching(items: Iterable[Item], missing: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in items:
        if item.text is not None and item.text_sha256 in missing:
            found[item.text_sha256] = item.text
            missing.discard(item.text_sha256)
        if not missing:
            break
    return found


def _items(identity: Identity) -> Iterator[Item]:
    for source in identity.sources:
        if source.sha256 is None:  # a pipe, which was read then and is gone now
            continue
        try:
            yield from Catalogue([source.input], identity.options).items()
        except InputError:
            continue
