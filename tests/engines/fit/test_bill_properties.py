"""What must hold of every bill, whatever the model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.architectures import ARCHITECTURES
from modeldeck.engines.fit.shape import Shape, Unjudged
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.terms import bill
from modeldeck.engines.types import KvType, Plan
from tests.support.any_model import KEYS, header
from tests.support.strategies import built

KV_TYPES: list[KvType] = ["f32", "f16", "q8_0", "q4_0"]


def shape(name: str, tied: bool = False) -> Shape:
    found = shape_of(header(name, tied))
    assert not isinstance(found, Unjudged), found.why
    return found


models = st.sampled_from(sorted(KEYS)).map(shape)
plans = built(
    Plan,
    kv_type=st.sampled_from(KV_TYPES),
    slots=st.integers(1, 8),
    micro_batch_tokens=st.sampled_from([1, 31, 64, 512, 2048]),
    flash_attention=st.booleans(),
    cpu_moe_blocks=st.integers(0, 30),
    swa_full=st.booleans(),
)
contexts = st.integers(1, 300_000)


@given(models, plans, contexts, contexts, st.data())
def test_more_context_never_costs_less(
    model: Shape, plan: Plan, one: int, other: int, data: st.DataObject
) -> None:
    k = data.draw(st.none() | st.integers(0, model.layers))
    less, more = (bill(model, plan, context, k) for context in sorted((one, other)))
    assert less.total_gpu_bytes <= more.total_gpu_bytes
    assert less.total_host_bytes <= more.total_host_bytes
    assert less.kv_gpu_bytes <= more.kv_gpu_bytes
    assert less.recurrent_gpu_bytes == more.recurrent_gpu_bytes


@given(models, plans, contexts, st.data())
def test_what_moves_to_the_gpu_leaves_the_host(
    model: Shape, plan: Plan, context: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(0, model.layers - 1))
    fewer, more = bill(model, plan, context, k), bill(model, plan, context, k + 1)
    assert fewer.weights_gpu_bytes <= more.weights_gpu_bytes
    assert fewer.weights_host_bytes >= more.weights_host_bytes
    for terms in (fewer, more):
        whole = bill(model, plan, context, None)
        assert terms.kv_gpu_bytes + terms.kv_host_bytes == whole.kv_host_bytes
        assert terms.recurrent_gpu_bytes + terms.recurrent_host_bytes == whole.recurrent_host_bytes


@given(st.sampled_from(sorted(KEYS)), plans, st.booleans(), st.data())
def test_every_tensor_is_somewhere_and_only_a_tied_table_twice(
    name: str, plan: Plan, tied: bool, data: st.DataObject
) -> None:
    source, model = header(name, tied), shape(name, tied)
    k = data.draw(st.integers(0, model.layers))
    terms = bill(model, plan, 4096, k)
    stored = source.weights.total_bytes
    copied = 5_000 if tied and ARCHITECTURES[name].has_output else 0
    padding = terms.weights_gpu_bytes + terms.weights_host_bytes - stored - copied
    moved = max(0, min(plan.cpu_moe_blocks, model.layers) - (model.layers - k))
    experts = 128 * moved
    assert padding == 384 * k - experts
    assert bill(model, plan, 4096, None).weights_host_bytes == stored


anything = st.one_of(
    st.integers(-(1 << 70), 1 << 70),
    st.floats(),
    st.booleans(),
    st.text(max_size=5),
    st.lists(st.integers(-5, 1 << 40), max_size=50).map(tuple),
)


@given(st.sampled_from(sorted(KEYS)), st.data())
def test_a_hostile_header_has_a_shape_or_a_reason(name: str, data: st.DataObject) -> None:
    source = header(name)
    names = data.draw(st.lists(st.sampled_from(sorted(source.hparams)), min_size=1, max_size=5))
    hparams = {**source.hparams, **{key: data.draw(anything) for key in names}}
    found = shape_of(source._replace(hparams=hparams))
    if isinstance(found, Unjudged):
        assert found.why
    else:
        terms = bill(found, Plan(), 4096, found.layers)
        assert min(terms.total_gpu_bytes, terms.total_host_bytes) >= 0
