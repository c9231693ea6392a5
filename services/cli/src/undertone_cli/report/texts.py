"""Texts and headings, from the inputs of a run."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from undertone_client.jobs import InputError

from undertone_cli.readers import InputParagraph, InputSet
from undertone_cli.run_folder import RunIdentity


def find_texts(identity: RunIdentity, hashes: Collection[str]) -> dict[str, str]:
    """Texts by SHA-256, from the run's inputs, as far as the inputs still contain them.

    Stops reading when all are found.

    Raises:
        InputError: texts are missing, and an input that may have them cannot be read.
    """
    missing = set(hashes)
    found: dict[str, str] = {}
    problems: list[InputError] = []
    for paragraph in _readable_paragraphs(identity, problems):
        if paragraph.text is not None and paragraph.text_sha256 in missing:
            found[paragraph.text_sha256] = paragraph.text
            missing.discard(paragraph.text_sha256)
        if not missing:
            break
    if missing and problems:
        raise InputError(f"the texts are missing: {problems[0]}; restore this input, or leave out --with-text")
    return found


def _readable_paragraphs(identity: RunIdentity, problems: list[InputError]) -> Iterator[InputParagraph]:
    options = replace(identity.options, keep=())
    for source in identity.sources:
        if source.sha256 is None:  # a pipe
            continue
        try:
            yield from InputSet([source.input], options).paragraphs()
        except InputError as error:
            problems.append(error)
