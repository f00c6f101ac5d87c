"""The real engine with a draft model and an adapter: it takes what the bill says, and answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.adapters.llama_server import LlamaServerEngine
from modeldeck.engines.buffers import Buffer, total_bytes
from modeldeck.engines.catalog.adapters import adapter_at
from modeldeck.engines.catalog.scan import model_at
from modeldeck.engines.errors import LoadFailed
from modeldeck.engines.fit.companions import Companions, unfit_draft, with_companions
from modeldeck.engines.fit.drafting import whole_bill
from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.types import Bill
from modeldeck.engines.testing import ask, question, words_of
from modeldeck.engines.types import Draft, LocalModel, Plan
from tests.support.random_adapter import make_random_adapter
from tests.support.random_model import Size, make_random_model

pytestmark = pytest.mark.real

MIB = 1 << 20
MODEL = Size(width=512, blocks=6, feed_forward=1024, vocabulary=4096)
SMALL = Size(width=128, blocks=3, feed_forward=256, vocabulary=4096)
OTHER = Size(width=128, blocks=2, feed_forward=256, vocabulary=1024)
PLAN = Plan(context_tokens=2048, slots=2, gpu_layers=0)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beside")
    make_random_model(folder / "model.gguf", MODEL)
    make_random_model(folder / "small.gguf", SMALL)
    make_random_model(folder / "other.gguf", OTHER)
    make_random_adapter(folder / "lora.gguf", MODEL, rank=16)
    return folder


def billed(model: LocalModel, plan: Plan) -> Bill:
    assert model.header is not None
    draft = model_at(Path(plan.draft.model)).header if plan.draft is not None else None
    adapters = tuple(adapter_at(Path(name)) for name in plan.adapters)
    shape = shape_of(model.header)
    assert isinstance(shape, Shape)
    whole = with_companions(shape, Companions(0, draft, adapters))
    assert not isinstance(whole, Unjudged)
    return whole_bill(whole, plan, plan.context_tokens, None)


async def loaded(model: LocalModel, plan: Plan) -> tuple[tuple[Buffer, ...], str]:
    """The buffers of a load, and what the model then says."""
    engine = LlamaServerEngine()
    try:
        held = await engine.load(model, plan)
        request = question(held, "w1 w2 w3", max_tokens=24)
        request = request._replace(sampling=request.sampling._replace(temperature=0.0))
        return engine.buffers(held.instance), words_of(await ask(engine, request))
    finally:
        await engine.close()


async def test_a_draft_and_an_adapter_take_what_the_bill_says(models: Path) -> None:
    model = model_at(models / "model.gguf")
    small, lora = str(models / "small.gguf"), str(models / "lora.gguf")
    alone, text = await loaded(model, PLAN)
    drafted, same_text = await loaded(model, PLAN._replace(draft=Draft(small, 4)))
    plan = PLAN._replace(draft=Draft(small, 4), adapters=(lora,))
    both, _ = await loaded(model, plan)

    bill = billed(model, plan)
    assert total_bytes(both, "lora", on_host=True) == pytest.approx(bill.lora_host_bytes, abs=5000)
    assert bill.lora_host_bytes == adapter_at(Path(lora)).weights.total_bytes
    taken = total_bytes(both, "draft", on_host=True)
    assert taken == pytest.approx(bill.draft_host_bytes, rel=0.05)
    assert taken == total_bytes(drafted, "draft", on_host=True)
    for kind in ("weights", "kv", "compute"):
        assert total_bytes(both, kind, on_host=True) == total_bytes(alone, kind, on_host=True)
    # What is drafted is checked: the model says the same.
    assert same_text == text != ""


async def test_a_draft_with_other_words_is_no_load_that_goes_on_without_it(models: Path) -> None:
    model, other = model_at(models / "model.gguf"), model_at(models / "other.gguf")
    assert model.header is not None
    assert other.header is not None
    assert "a vocabulary of 1024 tokens" in unfit_draft(model.header, other.header)
    with pytest.raises(LoadFailed, match="vocabularies differ"):
        await loaded(model, PLAN._replace(draft=Draft(str(other.path))))
