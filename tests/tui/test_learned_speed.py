"""A box's own replies correct what is predicted for it, and say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.fit.cards import card_named, reference_card
from modeldeck.engines.fit.types import HostSpeed, Verdict, VerdictKind
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.meter import Rate, Reading
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.types import LoadedModel, LocalModel, ModelFormat, Plan, Source
from modeldeck.tui.learned_speed import LearnedSpeed
from tests.accuracy.models import header

CARD = card_named("RTX 3060 12GB", 32 << 30)._replace(what_if=False)
PLAN = Plan(context_tokens=4096, gpu_layers=33)


def model(name: str = "Llama-2-7B", file: str = "Q4_0") -> LocalModel:
    return LocalModel(
        name=name,
        path=Path(f"/models/{name}.gguf"),
        files=(Path(f"/models/{name}.gguf"),),
        format=ModelFormat.GGUF,
        source=Source.FOLDER,
        size_bytes=4 << 30,
        header=header(name, file),
    )


def loaded(plan: Plan = PLAN) -> LoadedModel:
    return LoadedModel("1", "llama_server", "b1", model(), plan, 4096, None, 1, "CUDA0")


def reply(rate: float, tokens: int = 200, phase: str = "done") -> Reading:
    assert phase == "done" or phase == "stopped"
    return Reading(
        phase="done" if phase == "done" else "stopped",
        decode_mean=Rate(rate, "engine"),
        prompt_tokens=20,
        completion_tokens=tokens,
    )


@pytest.fixture
def learned(tmp_path: Path) -> Iterator[LearnedSpeed]:
    database = Database.open(tmp_path / "deck.db", SCHEMAS)
    yield LearnedSpeed(database)
    database.close()


def verdict_on(one: LocalModel) -> Verdict:
    assert one.header is not None
    found = judge(one.header, PLAN, CARD)
    assert found.kind is VerdictKind.FITS
    return found


def test_replies_of_one_model_correct_what_is_predicted_for_another(learned: LearnedSpeed) -> None:
    for _ in range(3):
        assert learned.take(loaded(), reply(60.0), CARD)
    other = model("Llama-3-8B", "Q4_K_M")
    before = verdict_on(other)
    after = learned.lesson().correct(before, other, CARD)
    assert before.decode_tps is not None
    assert after.decode_tps is not None
    assert after.decode_tps[1] < before.decode_tps[1]
    assert "from 1 run here" in after.rate_note
    assert after._replace(decode_tps=before.decode_tps, rate_note="") == before


def test_nothing_is_learnt_from_what_says_nothing(learned: LearnedSpeed) -> None:
    assert not learned.take(loaded(), reply(60.0, tokens=63), CARD)
    assert not learned.take(loaded(), reply(60.0, phase="stopped"), CARD)
    assert not learned.take(loaded(), reply(0.0), CARD)
    assert not learned.take(loaded(), reply(60.0), reference_card(32 << 30))
    assert learned.lesson().measures == {}


def test_what_the_card_did_says_nothing_of_another_card_or_of_offloading(
    learned: LearnedSpeed,
) -> None:
    assert learned.take(loaded(), reply(60.0), CARD)
    lesson, one = learned.lesson(), model()
    before = verdict_on(one)
    assert lesson.correct(before, one, CARD._replace(name="RTX 3090 24GB")) == before
    assert lesson.correct(before, one, CARD._replace(what_if=True)) == before
    partial = before._replace(kind=VerdictKind.FITS_PARTIAL)
    assert lesson.correct(partial, one, CARD) == partial
    assert lesson.correct(before, one, CARD, engine="ollama") == before


def test_layers_left_on_the_processor_are_measured_apart(learned: LearnedSpeed) -> None:
    beside = CARD._replace(host=HostSpeed(40e9, 8))
    assert learned.take(loaded(PLAN._replace(gpu_layers=20)), reply(12.0), beside)
    assert learned.take(loaded(PLAN._replace(gpu_layers=0)), reply(8.0), beside)
    assert [key.placement for key in learned.lesson().measures] == ["gpu+cpu", "cpu"]
    assert [key.gpu for key in learned.lesson().measures] == [CARD.name, ""]
