"""Where a pull goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.catalog.targets import parse_target
from modeldeck.engines.pulls.destinations import destination_for
from modeldeck.engines.pulls.errors import PullError
from modeldeck.engines.pulls.types import Destination, Layout

HOME = Path("/home/me")


def where(
    text: str, wish: str = "", *, dirs: tuple[Path, ...] = (), ollama_runs: bool = False
) -> Destination:
    return destination_for(parse_target(text), wish, dirs, {}, HOME, ollama_runs=ollama_runs)


@pytest.mark.parametrize(
    ("text", "wish", "layout", "folder"),
    [
        ("hf:o/n", "", Layout.HUB_CACHE, "/home/me/.cache/huggingface/hub"),
        ("hf:o/n", "hub", Layout.HUB_CACHE, "/home/me/.cache/huggingface/hub"),
        ("hf:o/n", "/models", Layout.FOLDER, "/models"),
        ("ollama:qwen3", "", Layout.OLLAMA_STORE, "/home/me/.ollama/models"),
        ("ollama:qwen3", "/models", Layout.FOLDER, "/models"),
        ("https://h/m.gguf", "", Layout.FOLDER, "/home/me/.local/share/modeldeck/models"),
    ],
)
def test_a_target_goes_where_it_belongs(text: str, wish: str, layout: Layout, folder: str) -> None:
    assert where(text, wish) == Destination(layout, Path(folder))


def test_an_ollama_that_runs_pulls_itself() -> None:
    assert where("ollama:qwen3", ollama_runs=True).layout is Layout.OLLAMA_SERVICE
    assert where("ollama:qwen3", "ollama", ollama_runs=True).layout is Layout.OLLAMA_SERVICE


def test_an_address_goes_into_the_first_folder_of_the_settings() -> None:
    dirs = (Path("~/models"), Path("/more"))
    assert where("https://h/m.gguf", dirs=dirs).folder == HOME / "models"


@pytest.mark.parametrize(
    ("text", "wish"),
    [("qwen3", ""), ("https://h/m.gguf", "hub"), ("hf:o/n", "ollama"), ("ollama:q", "hub")],
)
def test_what_cannot_go_there_says_why(text: str, wish: str) -> None:
    with pytest.raises(PullError) as caught:
        where(text, wish)
    assert caught.value.next_step


def test_a_file_is_no_folder_to_pull_into(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PullError, match="no folder"):
        where("hf:o/n", str(tmp_path / "file"))
