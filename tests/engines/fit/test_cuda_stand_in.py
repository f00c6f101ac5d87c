"""A card that is not here: the real llama.cpp sizes its buffers by CUDA's rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.catalog.reading import outlines_of
from modeldeck.engines.catalog.scan import model_at
from modeldeck.engines.fit.cards import card_named
from modeldeck.engines.fit.dry_run import HOST, STAND_IN, DeviceSizes, checked
from modeldeck.engines.fit.dry_runner import DryRunner
from modeldeck.engines.fit.sizing_library import packaged_library
from modeldeck.engines.fit.types import Bill, Verdict, VerdictKind
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.types import Plan
from tests.support.llama_keys import keys_of
from tests.support.llama_lab import Asked, ask
from tests.support.random_model import SLOW, make_random_model

pytestmark = pytest.mark.real

MIB = 1 << 20
CARD = card_named("RTX 3060 12GB", 32 << 30)


@pytest.fixture(scope="module")
def runner() -> Iterator[DryRunner]:
    asked = DryRunner()
    yield asked
    asked.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_random_model(tmp_path_factory.mktemp("stand-in") / "slow.gguf", SLOW)


def named(sizes: tuple[DeviceSizes, ...]) -> dict[str, DeviceSizes]:
    return {one.name: one for one in sizes}


def test_layers_lie_on_the_card_that_is_not_here(model: Path, runner: DryRunner) -> None:
    outlines = outlines_of([model])
    plan = Plan(context_tokens=4096)
    here = named(runner.run(outlines, plan))
    there = named(runner.run(outlines, plan, cuda=True))
    assert here.keys() == {HOST}
    assert there.keys() == {STAND_IN, HOST}
    assert there[STAND_IN].cache_bytes == here[HOST].cache_bytes
    assert there[STAND_IN].compute_bytes > 0
    part = named(runner.run(outlines, plan._replace(gpu_layers=1), cuda=True))
    assert part[STAND_IN].cache_bytes == 0 < part[STAND_IN].weights_bytes
    assert part[HOST].cache_bytes == here[HOST].cache_bytes
    # A question is a child's of its own: the card is gone with it.
    assert named(runner.run(outlines, plan)) == here
    assert named(runner.run(outlines, plan._replace(gpu_layers=0), cuda=True)).keys() == {HOST}


def test_the_verdict_has_its_compute_buffers_and_its_own_source(
    model: Path, runner: DryRunner
) -> None:
    header = model_at(model).header
    assert header is not None
    plan = Plan(context_tokens=4096)
    guess = judge(header, plan, CARD)
    assert guess.bill is not None
    sizes = runner.run(outlines_of([model]), plan, cuda=True)
    verdict = checked(guess, plan._replace(gpu_layers=guess.gpu_layers), sizes, CARD)
    assert verdict.bill is not None
    assert (verdict.kind, verdict.source) == (guess.kind, "closed-form")
    assert verdict.proof == "llama.cpp sized it, compute buffers by CUDA's rules"
    assert verdict.bill.compute_gpu_bytes == named(sizes)[STAND_IN].compute_bytes + MIB
    assert verdict.bill.weights_gpu_bytes == guess.bill.weights_gpu_bytes


def test_larger_buffers_than_the_formula_has_may_undo_a_promise() -> None:
    full = Bill(weights_gpu_bytes=CARD.free_bytes - 300 * MIB, compute_gpu_bytes=90 * MIB)
    guess = Verdict(
        VerdictKind.FITS, "closed-form", "fits", full, layers_gpu=1, layers=1, gpu_layers=2
    )
    weights = full.weights_gpu_bytes
    sizes = (DeviceSizes(STAND_IN, weights, 0, 400 * MIB), DeviceSizes(HOST, 0, 0, MIB))
    assert checked(guess, Plan(), sizes, CARD).kind is VerdictKind.DOES_NOT_FIT
    otherwise = (DeviceSizes(STAND_IN, weights, 999 * MIB, 400 * MIB), sizes[1])
    verdict = checked(guess, Plan(), otherwise, CARD)
    assert verdict == guess._replace(proof="llama.cpp counts otherwise: weights and cache")


def test_a_quantised_cache_is_unpacked_and_a_plain_one_is_not() -> None:
    """An RTX 3090 printed 107 MiB for Qwen3-4B with 32768 tokens, and 42.01 in host memory.

    Versions differ by a copy of the inputs.
    """
    library = packaged_library()
    assert library is not None
    keys = keys_of("qwen3", tokens=151936)
    for key, value in {
        "embedding_length": 2560,
        "feed_forward_length": 9728,
        "attention.head_count": 32,
        "attention.head_count_kv": 8,
        "attention.key_length": 128,
        "attention.value_length": 128,
    }.items():
        keys[f"qwen3.{key}"] = value
    kinds = ("f16", "q8_0")
    contexts = [Asked(context_tokens=32768, kv_type=kind) for kind in kinds]
    [answer] = ask(library, [(keys, contexts)], cuda=True)
    plain, packed = answer.buffers
    assert plain is not None
    assert packed is not None
    assert plain["cuda compute"] == pytest.approx(107, abs=5)
    assert plain["compute"] == pytest.approx(42.01, abs=12)
    # K and V of one block, two bytes each: 32768 tokens, 8 heads of 128.
    unpacked = 2 * 2 * 32768 * 8 * 128 / MIB
    assert unpacked < packed["cuda compute"] < unpacked + plain["cuda compute"]
