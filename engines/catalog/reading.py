"""What the files of one model hold: out of the cache, else read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from modeldeck.engines.catalog.folders import CONFIG, INDEX, OWN_FILES, TEMPLATE, TOKENIZER
from modeldeck.engines.catalog.found import Found, FoundFolder, found
from modeldeck.engines.catalog.split import FileSet
from modeldeck.engines.catalog.walk import LLAMAFILE
from modeldeck.engines.errors import FormatError
from modeldeck.engines.store.headers import CachedHeader, HeaderCache, Stamp
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import ModelFormat, ModelHeader

if TYPE_CHECKING:
    from modeldeck.engines.formats.gguf import GgufFile
    from modeldeck.engines.formats.gguf_outline import Outline
    from modeldeck.engines.formats.safetensors import SafeTensor

# The readers are imported when something is read: 10 ms that models in the cache do not need.

NO_MODEL: Final = CachedHeader(None, None)
"""What is found in a file that only goes with models."""

_COMPANIONS: Final = frozenset({"adapter", "imatrix", "mmproj", "clip", "controlvector"})
_MOST_INDEX_BYTES: Final = 4 << 20


def read_model(files: FileSet, cache: HeaderCache | None) -> CachedHeader | None:
    """What the files hold, a problem included; None when they have gone away."""
    if files.problem:
        return CachedHeader(None, files.problem)
    stamp = stamp_of(files)
    cached = cache.get(files.path, stamp) if cache else None
    if cached is not None:
        return cached
    try:
        read = _read(files)
    except FormatError as error:
        read = CachedHeader(None, error.cause)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = clean_line(error.strerror or str(error))
        return CachedHeader(None, f"The file cannot be read ({reason}).")
    if cache and all(_unchanged(file) for file in files.states):
        cache.put(files.path, stamp, read)
    return read


def stamp_of(files: FileSet) -> Stamp:
    """The state of every file that what is known of the model was read from."""
    return Stamp.of((file.size_bytes, file.mtime_ns, file.inode) for file in files.states)


def format_of(files: FileSet) -> ModelFormat:
    """The format of what could not be read, as its name says."""
    if files.folder is not None:
        return ModelFormat.PICKLE if files.folder.pickles else ModelFormat.SAFETENSORS
    return ModelFormat.LLAMAFILE if _is_llamafile(files.path) else ModelFormat.GGUF


def _is_llamafile(path: Path) -> bool:
    return path.name.lower().endswith(LLAMAFILE)


def _read(files: FileSet) -> CachedHeader:
    """Raises FormatError, OSError."""
    if files.folder is not None:
        return CachedHeader(_folder_header(files.folder), None)
    from modeldeck.engines.formats.header import header_of

    parts = [_opened(file.path) for file in files.files]
    if _is_companion(parts[0]):
        return NO_MODEL
    return CachedHeader(header_of(parts)._replace(format=format_of(files)), None)


def outlines_of(paths: Sequence[Path]) -> tuple[Outline, ...]:
    """What llama.cpp needs to size a model whose files these are. Raises FormatError, OSError."""
    return tuple(map(_outline, paths))


def _outline(path: Path) -> Outline:
    from modeldeck.engines.formats.gguf_outline import outline_in
    from modeldeck.engines.formats.source import open_regular

    with open_regular(path) as source:
        if not _is_llamafile(path):
            return outline_in(source)
        from modeldeck.engines.formats.llamafile import gguf_inside

        return outline_in(gguf_inside(source))


def _opened(path: Path) -> GgufFile:
    from modeldeck.engines.formats.gguf import read_gguf
    from modeldeck.engines.formats.source import open_regular

    with open_regular(path) as source:
        if not _is_llamafile(path):
            return read_gguf(source)
        from modeldeck.engines.formats.llamafile import gguf_inside

        return read_gguf(gguf_inside(source))


def _is_companion(part: GgufFile) -> bool:
    return bool(
        {part.metadata.get("general.type"), part.metadata.get("general.architecture")} & _COMPANIONS
    )


def _folder_header(folder: FoundFolder) -> ModelHeader:
    """The header of a folder of safetensors. Raises FormatError, OSError."""
    from modeldeck.engines.formats.folder import header_of_folder

    papers = {paper.path.name: paper for paper in folder.papers}
    config = _document(papers[CONFIG])
    _require_parts(folder, papers.get(INDEX))
    own_file = None
    if "quantization_config" not in config:
        own_file = next((_document(papers[name]) for name in OWN_FILES if name in papers), None)
    template = TEMPLATE in papers or _has_template(papers.get(TOKENIZER))
    tensors = _tensors(folder.weights)
    return header_of_folder(config, own_file, tensors, has_chat_template=template)


def _tensors(weights: Sequence[Found]) -> Iterator[SafeTensor]:
    from modeldeck.engines.formats.safetensors import read_safetensors
    from modeldeck.engines.formats.source import open_regular

    for file in weights:
        with open_regular(file.path) as source:
            yield from read_safetensors(source)


def _document(paper: Found) -> Mapping[str, object]:
    from modeldeck.engines.formats.json_text import json_object
    from modeldeck.engines.formats.source import open_regular

    with open_regular(paper.path) as source:
        return json_object(source, f"Its {clean_line(paper.path.name, 80)}")


def _has_template(tokenizer: Found | None) -> bool:
    """Whether the tokenizer's settings hold a chat template; what is unsound holds none."""
    try:
        return tokenizer is not None and "chat_template" in _document(tokenizer)
    except FormatError:
        return False


def _require_parts(folder: FoundFolder, index: Found | None) -> None:
    """Make sure that the files which the index names are there.

    An index of more than 4 MiB is passed over: numbers in names tell what is missing anyway.
    """
    if index is None or index.size_bytes > _MOST_INDEX_BYTES:
        return
    table = _document(index).get("weight_map")
    names = cast("dict[str, object]", table).values() if isinstance(table, dict) else ()
    present = {file.path.name for file in folder.weights}
    absent = sorted({name for name in names if isinstance(name, str)} - present)
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise FormatError(
            f"The part {clean_line(absent[0], 80)}{more} is missing.", "Download the model again."
        )


def _unchanged(file: Found) -> bool:
    try:
        return found(file.path, file.path.stat()) == file
    except OSError:
        return False
