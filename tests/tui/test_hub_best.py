"""The variant that is taken on a card."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeldeck.engines.fit.cards import card_named
from modeldeck.engines.fit.types import VerdictKind
from modeldeck.tui.hub_best import best_variant
from modeldeck.tui.hub_judging import Judging, VariantJudge
from modeldeck.tui.hub_state import Variant
from modeldeck.tui.state import Options
from tests.support.scripted_hub import variants_of

CARD = card_named("RTX 3060 12GB", 32 << 30)


def judged(variants: tuple[Variant, ...], options: Options) -> tuple[Variant, ...]:
    return VariantJudge().judged(variants, Judging(options, CARD, tuple))


def best_label(variants: tuple[Variant, ...], options: Options) -> str:
    best = best_variant(judged(variants, options), options, CARD)
    assert best is not None
    assert best.reason
    return next(one.label for one in variants if one.target == best.target)


@pytest.mark.parametrize(
    ("blocks", "embedding", "context", "label"),
    [
        (16, 2048, 8192, "Q8_0"),  # all of them fit: 16-bit is no better
        (32, 4096, 8192, "Q8_0"),
        (40, 5120, 8192, "Q5_K_M"),  # the most bits that fit whole
        (40, 5120, 32768, "IQ3_M"),
        (80, 8192, 8192, "IQ4_XS"),  # none fits whole: the smallest from 4-bit on
    ],
)
def test_one_model_in_the_usual_quantisations(
    blocks: int, embedding: int, context: int, label: str, tmp_path: Path
) -> None:
    found = variants_of(tmp_path, "o/n", blocks=blocks, embedding=embedding)

    assert best_label(found, Options(context)) == label


def test_of_several_sizes_the_largest_that_fits_whole(tmp_path: Path) -> None:
    sizes = [(16, 2048), (32, 4096), (40, 5120), (80, 8192)]
    tags = tuple(
        one._replace(target=f"ollama:m:{embedding}", label=str(embedding))
        for blocks, embedding in sizes
        for one in variants_of(tmp_path, "o/n", blocks=blocks, embedding=embedding)
        if one.label == "Q4_K_M"
    )

    assert best_label(tags, Options(8192)) == "5120"


def test_nothing_is_best_where_nothing_is_known_or_runs(tmp_path: Path) -> None:
    found = variants_of(tmp_path, "o/n", blocks=40, embedding=5120)
    assert best_variant(found, Options(), CARD) is None

    small = CARD._replace(ram_bytes=1 << 20, usable_bytes=1 << 28, free_bytes=1 << 28)
    refused = VariantJudge().judged(found, Judging(Options(), small, tuple))
    assert {one.verdict.kind for one in refused if one.verdict} == {VerdictKind.DOES_NOT_FIT}
    assert best_variant(refused, Options(), small) is None
