"""The verdict: what a user reads beside a model, and what must hold for every model and card."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.cards import card_with_vram, reference_card
from modeldeck.engines.fit.companions import Companions
from modeldeck.engines.fit.placement import last_not_negative
from modeldeck.engines.fit.plan import plan_for
from modeldeck.engines.fit.shaping import shape_of
from modeldeck.engines.fit.types import Card, VerdictKind
from modeldeck.engines.fit.verdict import judge, judge_found
from modeldeck.engines.types import (
    ALL_LAYERS,
    BlockWeights,
    HParam,
    KvType,
    ModelHeader,
    Plan,
    WeightTable,
)
from tests.support.strategies import built

MIB = 1 << 20
GIB = 1 << 30
CARD = reference_card(32 * GIB)


def dense(
    *,
    architecture: str = "qwen3",
    layers: int = 40,
    embedding: int = 5120,
    feed_forward: int = 17408,
    heads: int = 40,
    kv_heads: int = 8,
    head_size: int = 128,
    vocabulary: int = 151936,
    trained: int = 40960,
    block_mib: float = 183.0,
    input_mib: float = 417.0,
    output_mib: float = 608.0,
    tied: bool = False,
    quantisation: str = "Q4_K_M",
    more: Mapping[str, HParam] | None = None,
) -> ModelHeader:
    """A dense decoder; by default the size of Qwen3-14B Q4_K_M (8.4 GiB)."""
    hparams: dict[str, HParam] = {
        "block_count": layers,
        "embedding_length": embedding,
        "feed_forward_length": feed_forward,
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "attention.key_length": head_size,
        "attention.value_length": head_size,
        **(more or {}),
    }
    blocks = (BlockWeights(index, round(block_mib * MIB), 0, 0) for index in range(layers))
    return ModelHeader(
        architecture=architecture,
        name="",
        parameters=0,
        quantisation=quantisation,
        context_length=trained,
        vocabulary_size=vocabulary,
        has_chat_template=True,
        hparams={f"{architecture}.{key}": value for key, value in hparams.items()},
        weights=WeightTable(
            tuple(blocks), round(input_mib * MIB), 0, round(output_mib * MIB), tied, 0
        ),
        tensor_count=1,
    )


QWEN3_14B = dense()
MISTRAL_24B = dense(
    architecture="llama", feed_forward=32768, heads=32, block_mib=312, vocabulary=131072
)


def test_a_14b_at_four_bits_fits_the_reference_card_with_16k() -> None:
    verdict = judge(QWEN3_14B, Plan(context_tokens=16384), CARD)
    assert verdict.kind is VerdictKind.FITS
    assert verdict.source == "closed-form"
    assert verdict.reason == "fits: 10.6 of 11.6 GiB with 16k context"
    assert (verdict.layers_gpu, verdict.layers, verdict.gpu_layers) == (40, 40, 41)
    assert verdict.max_context_tokens == 20992
    assert verdict.bill is not None
    assert verdict.bill.kv_gpu_bytes == 2560 * MIB
    assert verdict.bill.weights_host_bytes == 417 * MIB
    assert verdict.bill.margin_bytes == 256 * MIB


def test_a_24b_fits_in_part_and_says_what_is_missing() -> None:
    verdict = judge(MISTRAL_24B, Plan(context_tokens=16384), CARD)
    assert verdict.kind is VerdictKind.FITS_PARTIAL
    assert verdict.reason == "27 of 40 layers on the GPU: 4.4 GiB short of all"
    assert (verdict.layers_gpu, verdict.gpu_layers) == (27, 28)
    assert verdict.max_context_tokens == 0
    assert verdict.decode_tps is None
    assert verdict.bill is not None
    assert verdict.bill.total_gpu_bytes + verdict.bill.margin_bytes <= CARD.free_bytes
    assert verdict.bill.weights_host_bytes == (13 * 312 + 417) * MIB


def test_a_model_larger_than_card_and_memory_does_not_fit() -> None:
    verdict = judge(dense(block_mib=3000), Plan(), CARD)
    assert verdict.kind is VerdictKind.DOES_NOT_FIT
    assert verdict.reason == (
        "does not fit: needs 119 GiB, there are 11.6 on the GPU and 32.0 in memory"
    )
    assert (verdict.gpu_layers, verdict.max_context_tokens) == (0, 0)
    assert verdict.bill is not None


def test_a_full_card_leaves_the_cpu() -> None:
    busy = CARD._replace(free_bytes=400 * MIB)
    verdict = judge(QWEN3_14B, Plan(), busy)
    assert verdict.kind is VerdictKind.CPU_ONLY
    assert verdict.reason == "CPU only: none of 40 layers fits in 0.39 GiB on the GPU"
    assert verdict.gpu_layers == 0
    assert verdict.decode_tps is None
    assert verdict.bill is not None
    assert verdict.bill.total_gpu_bytes == 0


def test_a_plan_for_the_cpu_is_judged_by_memory_alone() -> None:
    plan = Plan(gpu_layers=0)
    verdict = judge(QWEN3_14B, plan, CARD)
    assert verdict.kind is VerdictKind.CPU_ONLY
    assert verdict.reason == "CPU only: 8.9 of 32.0 GiB memory with 4k context"
    assert verdict.max_context_tokens == 40960
    small = judge(QWEN3_14B, plan, CARD._replace(ram_bytes=4 * GIB))
    assert small.kind is VerdictKind.DOES_NOT_FIT
    assert small.reason == "does not fit: needs 8.9 GiB of memory, there are 4.0 free"


def test_too_little_memory_beside_a_card_that_would_hold_it() -> None:
    verdict = judge(QWEN3_14B, Plan(), CARD._replace(ram_bytes=100 * MIB))
    assert verdict.kind is VerdictKind.DOES_NOT_FIT
    assert verdict.reason == "does not fit: needs 0.43 GiB of memory, there are 0.10 free"


def test_a_plan_that_names_its_layers_is_judged_as_it_stands() -> None:
    verdict = judge(QWEN3_14B, Plan(gpu_layers=21), CARD)
    assert (verdict.kind, verdict.layers_gpu) == (VerdictKind.FITS_PARTIAL, 20)
    assert verdict.reason.startswith("20 of 40 layers on the GPU: ")
    assert judge(QWEN3_14B, Plan(gpu_layers=41), CARD).kind is VerdictKind.FITS
    assert judge(MISTRAL_24B, Plan(gpu_layers=41), CARD).kind is VerdictKind.DOES_NOT_FIT


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (dense(architecture="deepseek4"), "its compressed caches need the dry run"),
        (dense(architecture="clip"), "this is a projector, which is loaded beside its model"),
        (
            dense(architecture="mimo2", more={"attention.sliding_window": 128}),
            "the header has no attention.sliding_window_pattern",
        ),
        (dense(architecture="mamba"), "the header has no ssm.inner_size"),
        (dense(architecture="frobnicator"), "the architecture frobnicator needs the dry run"),
        (
            dense(more={"nextn_predict_layers": 40}),
            "it has no blocks beside those that predict ahead",
        ),
        (dense(vocabulary=0), "the header has no vocab_size"),
        (
            dense(more={"attention.head_count_kv": (8, 8)}),
            "its attention.head_count_kv makes no sense",
        ),
        (dense(more={"block_count": 41}), "the file holds 40 of 41 blocks"),
    ],
)
def test_what_the_closed_form_does_not_know_it_does_not_judge(
    header: ModelHeader, reason: str
) -> None:
    verdict = judge(header, Plan(), CARD)
    assert verdict.kind is VerdictKind.NOT_JUDGED
    assert verdict.source == "needs-dry-run"
    assert verdict.reason == f"not judged yet: {reason}"
    assert (verdict.bill, verdict.max_context_tokens, verdict.decode_tps) == (None, None, None)


def test_without_a_kernel_for_its_heads_a_model_is_judged_without_flash_attention() -> None:
    odd = dense(head_size=100)
    verdict = judge(odd, Plan(), CARD)
    assert verdict == judge(odd, Plan(flash_attention=False), CARD)
    assert verdict.kind is VerdictKind.FITS
    # What names its layers is judged as it stands, and that has no answer.
    assert judge(odd, Plan(gpu_layers=9), CARD).kind is VerdictKind.NOT_JUDGED


def test_a_quantised_cache_needs_that_kernel() -> None:
    for plan in (Plan(kv_type="q8_0"), Plan(kv_type="q8_0", gpu_layers=9)):
        verdict = judge(dense(head_size=160), plan, CARD)
        assert verdict.kind is VerdictKind.CANNOT_RUN
        assert verdict.reason.endswith("for a head size of 160, and a q8_0 cache needs it")
    on_cpu = judge(dense(head_size=160), Plan(kv_type="q8_0", gpu_layers=0), CARD)
    assert on_cpu.kind is VerdictKind.CPU_ONLY


def test_llama_and_phi3_files_may_name_a_window_that_is_not_used() -> None:
    for architecture in ("llama", "phi3"):
        header = dense(architecture=architecture, more={"attention.sliding_window": 4096})
        assert judge(header, Plan(), CARD).kind is VerdictKind.FITS


def test_head_counts_may_vary_by_layer() -> None:
    half = dense(more={"attention.head_count_kv": (8, 0) * 20})
    bill = judge(half, Plan(context_tokens=16384), CARD).bill
    assert bill is not None
    assert bill.kv_gpu_bytes == 1280 * MIB
    without_flash = judge(half, Plan(flash_attention=False), CARD)
    # Every block's V is then as wide as the widest.
    assert without_flash.bill is not None
    assert without_flash.bill.kv_gpu_bytes == 480 * MIB


def test_a_cache_type_that_llama_cpp_refuses_cannot_run() -> None:
    verdict = judge(dense(head_size=80), Plan(kv_type="q8_0"), CARD)
    assert verdict.kind is VerdictKind.CANNOT_RUN
    assert verdict.reason == ("cannot run: a q8_0 cache needs a head size that is a multiple of 32")


# tok/s measured on an RTX 3060: llama-bench rows of bittenbypython.com (2024-12) and of
# ggml-org/llama.cpp discussion 15013; the model's bytes are those its files hold.
@pytest.mark.parametrize(
    ("read_mb", "measured"), [(9966, 28.88), (5362, 53.0), (3749, 75.58), (1922, 119.0)]
)
def test_measured_rates_lie_in_the_band(read_mb: int, measured: float) -> None:
    header = dense(block_mib=read_mb * 1e6 / 40 / MIB, output_mib=0, input_mib=200)
    rates = judge(header, Plan(context_tokens=512), CARD).decode_tps
    assert rates is not None
    low, middle, high = rates
    assert low < measured < high
    assert middle == pytest.approx(measured, rel=0.05)


def test_low_bit_types_and_other_cards_have_a_wider_band() -> None:
    def width(header: ModelHeader, card: Card) -> float:
        rates = judge(header, Plan(), card).decode_tps
        assert rates is not None
        return rates[2] / rates[0]

    usual = width(QWEN3_14B, CARD)
    assert width(QWEN3_14B._replace(quantisation="IQ2_XS"), CARD) > usual
    assert width(QWEN3_14B, CARD._replace(decode_efficiency=(0.58, 0.70, 0.82))) > usual


def test_no_rate_is_invented_for_a_card_without_a_bandwidth() -> None:
    assert judge(QWEN3_14B, Plan(), card_with_vram(24 * GIB, 32 * GIB)).decode_tps is None


def test_entering_a_model_takes_what_the_verdict_promises() -> None:
    plan = plan_for(MISTRAL_24B, CARD, 16384, "f16", has_gpu=True)
    assert (plan.gpu_layers, plan.context_tokens, plan.kv_type) == (28, 16384, "f16")
    assert plan_for(QWEN3_14B, CARD, 16384, "f16", has_gpu=True).gpu_layers == 41
    assert plan_for(QWEN3_14B, CARD, 16384, "f16", has_gpu=False).gpu_layers == 0


def test_no_more_context_is_taken_than_a_model_was_trained_for() -> None:
    assert plan_for(QWEN3_14B, CARD, 1 << 20, "q8_0", has_gpu=True).context_tokens == 40960
    unknown = QWEN3_14B._replace(context_length=0)
    assert plan_for(unknown, CARD, 8192, "f16", has_gpu=True).context_tokens == 8192


def test_what_would_be_refused_is_replaced_by_what_runs() -> None:
    odd = dense(head_size=100)
    plan = plan_for(odd, CARD, 4096, "q8_0", has_gpu=True)
    assert (plan.flash_attention, plan.kv_type) == (False, "f16")
    assert judge(odd, plan, CARD).kind in (VerdictKind.FITS, VerdictKind.FITS_PARTIAL)
    assert plan_for(odd, CARD, 4096, "f16", has_gpu=False).flash_attention


def test_a_model_without_a_verdict_goes_to_the_gpu_only_with_room_to_spare() -> None:
    def gpu_layers(block_mib: float) -> int:
        header = dense(architecture="frobnicator", block_mib=block_mib)
        return plan_for(header, CARD, 4096, "f16", has_gpu=True).gpu_layers

    assert gpu_layers(100) == ALL_LAYERS
    assert gpu_layers(200) == 0
    headless = dense(architecture="?", heads=0, kv_heads=0)
    assert plan_for(headless, CARD, 1, "f16", has_gpu=True).gpu_layers == 0


headers = st.builds(
    dense,
    architecture=st.sampled_from(["llama", "qwen2", "qwen3", "phi3", "granite"]),
    layers=st.integers(1, 80),
    embedding=st.sampled_from([256, 2048, 4096, 8192]),
    feed_forward=st.integers(1, 40_000),
    heads=st.sampled_from([8, 32, 64]),
    kv_heads=st.sampled_from([1, 4, 8]),
    head_size=st.sampled_from([64, 96, 128, 256]),
    vocabulary=st.integers(1, 300_000),
    trained=st.sampled_from([0, 1000, 4096, 40960, 131072]),
    block_mib=st.floats(0.01, 800),
    input_mib=st.floats(0, 2000),
    output_mib=st.floats(0, 2000),
    tied=st.booleans(),
)
plans = built(
    Plan,
    context_tokens=st.integers(1, 200_000),
    kv_type=st.sampled_from(["f16", "q8_0", "q4_0"]),
    slots=st.integers(1, 8),
    micro_batch_tokens=st.sampled_from([1, 64, 512, 2048]),
    gpu_layers=st.sampled_from([ALL_LAYERS, ALL_LAYERS, 0, 1, 7, 81]),
)
cards = built(
    Card,
    name=st.just("a card"),
    usable_bytes=st.just(48 * GIB),
    free_bytes=st.integers(0, 48 * GIB),
    what_if=st.just(True),
    ram_bytes=st.integers(0, 128 * GIB),
)


@given(headers, plans, cards)
def test_what_is_promised_is_there(header: ModelHeader, plan: Plan, card: Card) -> None:
    verdict = judge(header, plan, card)
    assert verdict.bill is not None
    if verdict.kind is VerdictKind.DOES_NOT_FIT:
        assert (verdict.layers_gpu, verdict.gpu_layers) == (0, 0)
        return
    assert verdict.bill.total_gpu_bytes + verdict.bill.margin_bytes <= card.free_bytes
    assert verdict.bill.total_host_bytes <= card.ram_bytes
    assert (verdict.kind is VerdictKind.FITS) == (verdict.layers_gpu == verdict.layers)
    assert (verdict.kind is VerdictKind.CPU_ONLY) == (verdict.gpu_layers == 0)
    again = judge(header, plan._replace(gpu_layers=verdict.gpu_layers), card)
    assert again.kind is verdict.kind
    assert again.bill == verdict.bill


@given(headers, plans, cards)
def test_no_more_layers_would_have_fitted(header: ModelHeader, plan: Plan, card: Card) -> None:
    plan = plan._replace(gpu_layers=ALL_LAYERS)
    verdict = judge(header, plan, card)
    if verdict.kind is VerdictKind.FITS_PARTIAL:
        more = judge(header, plan._replace(gpu_layers=verdict.gpu_layers + 1), card)
        assert more.kind is VerdictKind.DOES_NOT_FIT


@given(headers, plans, cards)
def test_the_largest_context_is_the_largest(header: ModelHeader, plan: Plan, card: Card) -> None:
    plan = plan._replace(gpu_layers=ALL_LAYERS)
    longest = judge(header, plan, card).max_context_tokens
    assert longest is not None

    def fits(context_tokens: int) -> bool:
        at = judge(header, plan._replace(context_tokens=context_tokens), card)
        return at.kind is VerdictKind.FITS

    cap = header.context_length or 1 << 20
    assert longest <= cap
    assert longest == 0 or fits(longest)
    assert longest == cap or not fits(min(longest + 256, cap))


@given(headers, plans, cards, st.integers(1, 100_000))
def test_more_context_never_needs_less(
    header: ModelHeader, plan: Plan, card: Card, more: int
) -> None:
    plan = plan._replace(gpu_layers=header.weights.blocks[-1].number + 2)
    now = judge(header, plan, card).bill
    then = judge(header, plan._replace(context_tokens=plan.context_tokens + more), card).bill
    assert now is not None
    assert then is not None
    assert then.total_gpu_bytes >= now.total_gpu_bytes
    assert then.total_host_bytes >= now.total_host_bytes


@given(headers, st.integers(1, 300))
def test_the_cache_grows_with_the_context_and_shrinks_with_its_type(
    header: ModelHeader, pages: int
) -> None:
    def cache(pages: int, kv_type: KvType) -> int:
        plan = Plan(context_tokens=256 * pages, kv_type=kv_type, gpu_layers=0)
        bill = judge(header, plan, CARD).bill
        assert bill is not None
        return bill.kv_host_bytes

    assert cache(pages, "f16") == pages * cache(1, "f16")
    assert cache(pages, "q8_0") * 32 == cache(pages, "f16") * 17
    assert cache(pages, "q4_0") * 32 == cache(pages, "f16") * 9


@given(headers, plans, cards, st.integers(0, 48 * GIB))
def test_free_memory_in_answer_out(header: ModelHeader, plan: Plan, card: Card, more: int) -> None:
    plan = plan._replace(gpu_layers=ALL_LAYERS)
    now = judge(header, plan, card)
    then = judge(header, plan, card._replace(free_bytes=card.free_bytes + more))
    assert then.layers_gpu >= now.layers_gpu
    assert (then.max_context_tokens or 0) >= (now.max_context_tokens or 0)


def test_the_answer_turns_at_exactly_the_byte_that_is_missing() -> None:
    bill = judge(QWEN3_14B, Plan(), CARD).bill
    assert bill is not None
    enough = bill.total_gpu_bytes + bill.margin_bytes
    assert judge(QWEN3_14B, Plan(), CARD._replace(free_bytes=enough)).kind is VerdictKind.FITS
    short = judge(QWEN3_14B, Plan(), CARD._replace(free_bytes=enough - 1))
    assert short.kind is VerdictKind.FITS_PARTIAL


anything = st.one_of(
    st.integers(-(1 << 70), 1 << 70),
    st.floats(),
    st.booleans(),
    st.text(max_size=5),
    st.lists(st.integers(-5, 1 << 40), max_size=50).map(tuple),
    st.lists(st.booleans(), max_size=50).map(tuple),
)
sizes = st.integers(-(1 << 70), 1 << 70)


@given(
    st.data(),
    st.integers(-(1 << 40), 1 << 70),
    st.lists(st.builds(BlockWeights, st.integers(-3, 50), sizes, sizes, sizes), max_size=5),
    sizes,
)
def test_no_header_raises(
    data: st.DataObject, number: int, blocks: list[BlockWeights], size: int
) -> None:
    sound = dense(layers=4)
    keys = data.draw(st.lists(st.sampled_from(sorted(sound.hparams)), max_size=4))
    hparams = dict(sound.hparams)
    for key in keys:
        hparams[key] = data.draw(anything)
    if data.draw(st.booleans()):
        hparams.pop(data.draw(st.sampled_from(sorted(hparams))))
    weights = data.draw(
        st.sampled_from(
            [
                sound.weights,
                sound.weights._replace(token_embedding_bytes=size),
                sound.weights._replace(blocks=tuple(blocks)),
                WeightTable(),
            ]
        )
    )
    header = sound._replace(
        hparams=hparams,
        weights=weights,
        vocabulary_size=data.draw(st.sampled_from([number, 32000])),
        context_length=data.draw(st.sampled_from([number, 4096])),
    )
    plan = Plan(context_tokens=data.draw(st.sampled_from([4096, 0, -1, number])))
    verdict = judge(header, plan, CARD)
    assert verdict.reason
    assert (verdict.bill is None) == (verdict.kind is VerdictKind.NOT_JUDGED)
    assert plan_for(header, CARD, number, "f16", has_gpu=True).context_tokens >= 1


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(-(10**9), 10**9)), min_size=1, max_size=4
    ),
    st.integers(0, 5000),
)
def test_the_longest_context_is_found_on_any_falling_curve(
    lines: list[tuple[int, int]], last: int
) -> None:
    looks: list[int] = []

    def falling(n: int) -> int:
        looks.append(n)
        return min(height - slope * n for slope, height in lines)

    found = last_not_negative(falling, last)

    assert len(looks) <= 24
    assert all(1 <= n <= last for n in looks)
    assert found == 0 or falling(found) >= 0
    assert found == last or falling(found + 1) < 0


SEEING = Companions(800 * MIB)


def test_a_projector_takes_its_share_where_the_layers_are() -> None:
    header = dense()
    plain, seeing = judge(header, Plan(), CARD), judge(header, Plan(), CARD, SEEING)
    assert plain.bill is not None
    assert seeing.bill is not None
    assert seeing.bill.projector_gpu_bytes == 1200 * MIB
    assert seeing.bill.total_gpu_bytes == plain.bill.total_gpu_bytes + 1200 * MIB
    assert plain.max_context_tokens is not None
    assert seeing.max_context_tokens is not None
    assert seeing.max_context_tokens < plain.max_context_tokens

    room = CARD._replace(free_bytes=plain.bill.total_gpu_bytes + plain.bill.margin_bytes)
    assert judge(header, Plan(), room).kind is VerdictKind.FITS
    assert judge(header, Plan(), room, SEEING).kind is VerdictKind.FITS_PARTIAL
    assert plan_for(header, room, 4096, "f16", True, SEEING).gpu_layers < ALL_LAYERS
    on_cpu = judge(header, Plan(gpu_layers=0), CARD, SEEING)
    assert on_cpu.bill is not None
    assert on_cpu.bill.projector_host_bytes == 1200 * MIB
    assert on_cpu.bill.total_gpu_bytes == 0


@given(headers, plans, cards)
def test_in_brief_the_answer_is_the_same(header: ModelHeader, plan: Plan, card: Card) -> None:
    whole = judge(header, plan, card)
    brief = judge_found(shape_of(header), plan, card, brief=True)
    assert brief == whole._replace(max_context_tokens=brief.max_context_tokens, decode_tps=None)
    assert brief.max_context_tokens is None
