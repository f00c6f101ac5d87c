"""Models are looked for where the user says, and where other programs keep them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.catalog.places import Place, default_places
from modeldeck.engines.types import Source

HOME = Path("/home/ada")


def test_without_settings_the_usual_caches_are_looked_through() -> None:
    places = default_places([], {}, HOME, "linux")
    assert {place.source for place in places[3:]} == {
        *(Source.OLLAMA, Source.LM_STUDIO, Source.TEXT_GENERATION_WEBUI)
    }
    assert places[:3] == (
        Place(Source.FOLDER, HOME / ".local/share/modeldeck/models", made_later=True),
        Place(Source.HUGGING_FACE, HOME / ".cache/huggingface/hub"),
        Place(Source.LLAMA_CPP, HOME / ".cache/llama.cpp"),
    )


def test_the_users_folders_come_first() -> None:
    places = default_places([Path("/models"), Path("~/gguf"), Path("~")], {}, HOME, "linux")

    assert [place.path for place in places[:3]] == [Path("/models"), HOME / "gguf", HOME]
    assert {place.source for place in places[:3]} == {Source.FOLDER}


@pytest.mark.parametrize(
    ("environ", "hub"),
    [
        ({"HF_HUB_CACHE": "/a", "HUGGINGFACE_HUB_CACHE": "/b", "HF_HOME": "/c"}, "/a"),
        ({"HUGGINGFACE_HUB_CACHE": "/b", "HF_HOME": "/c"}, "/b"),
        ({"HF_HOME": "/c", "XDG_CACHE_HOME": "/d"}, "/c/hub"),
        ({"HF_HOME": "~/hf"}, "/home/ada/hf/hub"),
        ({"XDG_CACHE_HOME": "/d"}, "/d/huggingface/hub"),
        ({"HF_HUB_CACHE": "", "HF_HOME": ""}, "/home/ada/.cache/huggingface/hub"),
    ],
)
def test_the_hugging_face_cache_is_where_its_variables_say(
    environ: dict[str, str], hub: str
) -> None:
    assert Place(Source.HUGGING_FACE, Path(hub)) in default_places([], environ, HOME, "linux")


@pytest.mark.parametrize(
    ("environ", "platform", "folder"),
    [
        ({"LLAMA_CACHE": "/a", "XDG_CACHE_HOME": "/d"}, "linux", "/a"),
        ({"XDG_CACHE_HOME": "/d"}, "linux", "/d/llama.cpp"),
        ({}, "darwin", "/home/ada/Library/Caches/llama.cpp"),
    ],
)
def test_the_llama_cpp_cache_is_where_its_variables_say(
    environ: dict[str, str], platform: str, folder: str
) -> None:
    assert Place(Source.LLAMA_CPP, Path(folder)) in default_places([], environ, HOME, platform)
