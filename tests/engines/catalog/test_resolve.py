"""What a person types leads to one model, or to a list of those that may be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.resolve import resolve, suggestions
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.errors import ModelNotFound
from modeldeck.engines.types import LocalModel, Source
from tests.support.gguf_files import write_llama, write_split_llama
from tests.support.safetensors_files import write_folder


@pytest.fixture
def models(tmp_path: Path) -> tuple[LocalModel, ...]:
    for name in ("Qwen3-8B-Q4_K_M", "Qwen3-8B-Q8_0", "qwen3-14b", "Phi-4", "Phi-4-mini"):
        write_llama(tmp_path / "models" / f"{name}.gguf")
    write_split_llama(tmp_path / "models", "Llama-70B")
    for folder in ("a", "b"):
        write_llama(tmp_path / "models" / folder / "twin.gguf")
    return scan([Place(Source.FOLDER, tmp_path / "models")]).models


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Phi-4", "Phi-4"),
        ("phi-4", "Phi-4"),
        ("Phi-4.gguf", "Phi-4"),
        ("phi-4-m", "Phi-4-mini"),
        ("14b", "qwen3-14b"),
        ("q8_0", "Qwen3-8B-Q8_0"),
        ("  llama ", "Llama-70B"),
    ],
)
def test_a_name_or_a_part_that_only_one_has_will_do(
    models: tuple[LocalModel, ...], text: str, name: str
) -> None:
    assert resolve(models, text).name == name


def test_a_file_answers_to_its_name_in_every_store(tmp_path: Path) -> None:
    first = write_llama(tmp_path / "one" / "sha256-1.gguf")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "Phi-4-mini.gguf").hardlink_to(first)
    write_llama(tmp_path / "two" / "Qwen.gguf", name="other")
    places = [Place(Source.LLAMA_CPP, tmp_path / "one"), Place(Source.FOLDER, tmp_path / "two")]
    models = scan(places).models
    (model,) = [model for model in models if model.also]
    assert model.names == ("sha256-1", "Phi-4-mini")
    for text in ("sha256-1", "Phi-4-mini", "phi-4", "MINI", str(tmp_path / "two/Phi-4-mini.gguf")):
        assert resolve(models, text) is model
    assert "Phi-4-mini" in refusal(models, "phi4min").next_step


def refusal(models: tuple[LocalModel, ...], text: str) -> ModelNotFound:
    with pytest.raises(ModelNotFound) as caught:
        resolve(models, text)
    return caught.value


def test_a_part_that_several_have_lists_them(models: tuple[LocalModel, ...]) -> None:
    error = refusal(models, "qwen3-8b")

    assert "2 models" in error.cause
    assert "Qwen3-8B-Q4_K_M, Qwen3-8B-Q8_0" in error.next_step


def test_two_of_one_name_are_told_apart_by_their_paths(models: tuple[LocalModel, ...]) -> None:
    error = refusal(models, "twin")

    assert "a/twin.gguf" in error.next_step
    assert "b/twin.gguf" in error.next_step
    path = error.next_step.removeprefix("Say which: ").partition(", ")[0]
    assert str(resolve(models, path).path) == path


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    for number in range(20):
        write_llama(tmp_path / f"model-{number}.gguf")
    models = scan([Place(Source.FOLDER, tmp_path)]).models

    assert "and 12 more" in refusal(models, "model").next_step


def test_a_slip_of_the_finger_is_answered_with_what_is_near(
    models: tuple[LocalModel, ...],
) -> None:
    assert "Did you mean Phi-4-mini" in refusal(models, "phi4-mnii").next_step
    assert "modeldeck ls" in refusal(models, "zzzzzz").next_step
    assert "no model" in refusal((), "phi").cause


def test_what_has_a_problem_is_not_suggested(tmp_path: Path) -> None:
    write_llama(tmp_path / "Qwen3-8B.gguf")
    (tmp_path / "Qwen3-9B.gguf").write_text("hello")
    models = scan([Place(Source.FOLDER, tmp_path)]).models
    assert refusal(models, "qwen4-9b").next_step == "Did you mean Qwen3-8B?"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("qwne3", ["Qwen3-8B-Instruct-Q4_K_M", "Qwen3-14B"]),
        ("mistal", ["Mistral-7B-v0.3"]),
        ("llama3", ["Meta-Llama-3.1-8B"]),
        ("gemma", []),
        ("8x7b", []),
        ("x" * 500, []),
    ],
)
def test_the_likest_names_come_first(text: str, names: list[str]) -> None:
    listed = ["Qwen3-14B", "Qwen3-8B-Instruct-Q4_K_M", "Mistral-7B-v0.3", "Meta-Llama-3.1-8B"]
    found = suggestions(text, listed)
    assert sorted(found) == sorted(names)


def test_the_name_without_its_owner_will_do(tmp_path: Path) -> None:
    hub = tmp_path / "models--org--tiny" / "snapshots" / "abc"
    write_folder(hub)
    (tmp_path / "models--org--tiny" / "refs").mkdir()
    (tmp_path / "models--org--tiny" / "refs" / "main").write_text("abc")
    write_llama(tmp_path / "tiny-2.gguf")
    models = scan([Place(Source.HUGGING_FACE, tmp_path)]).models
    assert resolve(models, "tiny").path == hub


@pytest.mark.parametrize("text", ["", "  ", ".gguf", "/", "\x1b[31m", "."])
def test_nothing_is_not_taken_for_everything(models: tuple[LocalModel, ...], text: str) -> None:
    one = models[:1]

    error = refusal(one, text)

    assert "\x1b" not in str(error)


def test_a_path_leads_to_the_model_of_the_list(
    models: tuple[LocalModel, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "models")
    (tmp_path / "link.gguf").symlink_to("models/Phi-4.gguf")
    (tmp_path / "folder").symlink_to("models")

    for text in (
        str(tmp_path / "models" / "Phi-4.gguf"),
        "Phi-4.gguf",
        "./Phi-4.gguf",
        str(tmp_path / "link.gguf"),
        str(tmp_path / "folder" / "Phi-4.gguf"),
    ):
        assert resolve(models, text) in models
        assert resolve(models, text).name == "Phi-4"
    assert resolve(models, "./Llama-70B-00002-of-00003.gguf").name == "Llama-70B"


def test_a_path_to_a_file_elsewhere_is_read(
    models: tuple[LocalModel, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_llama(tmp_path / "home" / "other.gguf", name="Other")
    parts = write_split_llama(tmp_path / "home", "cut", 2)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    other = resolve(models, "~/other.gguf")
    cut = resolve(models, str(parts[1]))

    assert other.header is not None
    assert other.header.name == "Other"
    assert list(cut.files) == parts
    assert cut.problem is None


def test_a_path_to_something_else_says_what_is_wrong(
    models: tuple[LocalModel, ...], tmp_path: Path
) -> None:
    (tmp_path / "text.gguf").write_text("hello")
    write_llama(tmp_path / "x.gguf").rename(tmp_path / "no-suffix")

    assert "no GGUF" in (resolve(models, str(tmp_path / "text.gguf")).problem or "")
    assert resolve(models, str(tmp_path / "no-suffix")).problem is None
    assert "no model called" in refusal(models, str(tmp_path / "gone.gguf")).cause
