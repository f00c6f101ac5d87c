"""Where a pull goes: what its target asks for, or what the user named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from modeldeck.engines.catalog.places import default_places
from modeldeck.engines.catalog.targets import Target, TargetKind
from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.types import Destination, Layout
from modeldeck.engines.text import clean_line
from modeldeck.engines.types import Source

HUB: Final = "hub"
OLLAMA: Final = "ollama"


def destination_for(
    target: Target,
    wish: str,
    model_dirs: Sequence[Path],
    environ: Mapping[str, str],
    home: Path,
    *,
    ollama_runs: bool,
) -> Destination:
    """Where ``target`` goes.

    A repository of the Hub goes into the Hub's cache, a model of Ollama's to the Ollama that runs,
    else into its store, and an address into the first folder of the settings.

    Args:
        target: to be pulled.
        wish: ``hub``, ``ollama``, a folder, or empty for what suits the target.
        model_dirs: the folders of the settings.
        environ: the stores' own variables count, as for ``modeldeck ls``.
        home: of the user.
        ollama_runs: an Ollama answers.

    Raises:
        PullError: the target cannot go there.
    """
    if target.kind is TargetKind.LOCAL:
        raise PullError(
            f"“{target.text}” names nothing that could be downloaded.",
            "Write hf:owner/name:Q4_K_M, ollama:name:tag or an address.",
        )
    wish = wish or {TargetKind.HUB: HUB, TargetKind.OLLAMA: OLLAMA}.get(target.kind, "")
    if wish == HUB:
        if target.kind is not TargetKind.HUB:
            raise PullError(
                f"“{target.text}” is no repository of the Hub.", "Name a folder: --to FOLDER."
            )
        return Destination(Layout.HUB_CACHE, _store(Source.HUGGING_FACE, environ, home))
    if wish == OLLAMA:
        if target.kind is not TargetKind.OLLAMA:
            raise PullError(
                "Ollama keeps models under names of a registry.",
                "Write ollama:hf.co/owner/name:Q4_K_M, or import the file after it has come.",
            )
        layout = Layout.OLLAMA_SERVICE if ollama_runs else Layout.OLLAMA_STORE
        return Destination(layout, _store(Source.OLLAMA, environ, home))
    folder = Path(wish).expanduser() if wish else _folder(model_dirs, environ, home)
    if not folder.is_absolute():
        folder = Path.cwd() / folder
    if folder.exists() and not folder.is_dir():
        raise PullError(f"{clean_line(str(folder), 120)} is no folder.", "Name a folder.")
    return Destination(Layout.FOLDER, folder)


def _store(source: Source, environ: Mapping[str, str], home: Path) -> Path:
    return next(place.path for place in default_places((), environ, home) if place.source is source)


def _folder(model_dirs: Sequence[Path], environ: Mapping[str, str], home: Path) -> Path:
    """The first of the settings, else one of ours."""
    if not model_dirs:
        return _store(Source.FOLDER, environ, home)
    first = model_dirs[0]
    return home.joinpath(*first.parts[1:]) if first.parts[:1] == ("~",) else first
