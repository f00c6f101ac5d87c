"""A load ran out of memory: what for, and what fits instead."""

from __future__ import annotations

import pytest

from modeldeck.engines.catalog.places import Place
from modeldeck.engines.catalog.scan import scan
from modeldeck.engines.fit.cards import card_named
from modeldeck.engines.fit.shortage import autopsy, rescues
from modeldeck.engines.fit.types import Card
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.out_of_memory import Shortage
from modeldeck.engines.types import ModelHeader, Plan, Source
from tests.support.decks import dense

GIB = 1 << 30


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> ModelHeader:
    folder = tmp_path_factory.mktemp("models")
    dense(folder, "Model-14B", blocks=40, embedding=5120)
    found = scan([Place(Source.FOLDER, folder)]).models[0].header
    assert found is not None
    return found


@pytest.fixture
def card() -> Card:
    return card_named("RTX 3060 12GB", 64 * GIB)


def test_the_least_costly_change_comes_first(header: ModelHeader, card: Card) -> None:
    plan = Plan(context_tokens=32768)
    assert judge(header, plan, card).kind != "fits"
    found = rescues(header, plan, card)
    assert [rescue.change for rescue in found][:2] == ["KV cache q8_0", "context 16k"]
    assert len(found) == 3
    for rescue in found[:2]:
        assert judge(header, rescue.plan, card).kind == "fits"


def test_a_card_that_others_fill_leaves_layers_or_the_cpu(header: ModelHeader, card: Card) -> None:

    busy = card._replace(free_bytes=4 * GIB)
    found = rescues(header, Plan(context_tokens=4096), busy)
    assert "of 40 layers on the GPU" in found[0].change
    assert found[0].plan.gpu_layers == judge(header, Plan(context_tokens=4096), busy).gpu_layers
    assert found[-1].change == "CPU only"


def test_a_load_for_the_cpu_stays_on_the_cpu(header: ModelHeader, card: Card) -> None:

    small = card._replace(ram_bytes=12 * GIB)
    found = rescues(header, Plan(context_tokens=65536, gpu_layers=0), small)
    assert found
    assert all(rescue.plan.gpu_layers == 0 for rescue in found)


def test_the_sentence_names_the_buffer_and_what_was_missing(card: Card) -> None:
    words = autopsy(Shortage("the KV cache", 2 * GIB), card, card.free_bytes + (100 << 20))
    assert words == "memory ran out for the KV cache of 2.0 GiB, about 100 MiB short"
    words = autopsy(Shortage("the weights", 0, on_host=True), card, card.ram_bytes + (7 << 20))
    assert words == "the host's memory ran out for the weights, about 7 MiB short"
