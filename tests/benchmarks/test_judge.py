"""Verdicts and rows for very many models."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path

import pytest

from modeldeck.engines.fit.cards import card_named, reference_card
from modeldeck.engines.fit.shapes import Shapes
from modeldeck.engines.fit.verdict import judge_found
from modeldeck.engines.types import (
    BlockWeights,
    EngineInfo,
    LocalModel,
    ModelFormat,
    ModelHeader,
    Plan,
    Source,
    WeightTable,
)
from modeldeck.tui.row_verdicts import Judging, row_verdicts
from modeldeck.tui.widgets.model_rows import MadeRows, sorted_entries
from tests.support.model_bench import bench_entries

pytestmark = pytest.mark.bench

MIB = 1 << 20


def dense(layers: int, block_bytes: int) -> ModelHeader:
    return ModelHeader(
        architecture="llama",
        name="",
        parameters=0,
        quantisation="Q4_K_M",
        context_length=131072,
        vocabulary_size=128256,
        has_chat_template=True,
        hparams={
            "llama.block_count": layers,
            "llama.embedding_length": 4096,
            "llama.feed_forward_length": 14336,
            "llama.attention.head_count": 32,
            "llama.attention.head_count_kv": 8,
        },
        weights=WeightTable(
            tuple(BlockWeights(at, block_bytes, 0, 0) for at in range(layers)), 300 * MIB
        ),
        tensor_count=1,
    )


def listed_as(number: int) -> LocalModel:
    path = Path(str(number))
    return LocalModel(path.name, path, (path,), Source.FOLDER, ModelFormat.GGUF, 1)


def test_ten_thousand_verdicts(measured: Callable[..., None]) -> None:
    card = reference_card(64 << 30)
    listed = [
        (listed_as(number), dense(24 + number % 57, 60 * MIB + number * 4096))
        for number in range(10_000)
    ]
    shapes, contexts = Shapes(), count(8192, 256)

    def seconds() -> float:
        plan = Plan(context_tokens=next(contexts))
        begun = time.process_time()
        for model, header in listed:
            judge_found(shapes.of(model, header), plan, card)
        return time.process_time() - begun

    first = seconds()
    measured("10,000 verdicts, headers just read", first, unit="s of the processor")
    again = [seconds() for _ in range(5)]
    measured("10,000 verdicts, another context", *again, unit="s of the processor", limit=1)


def test_ten_thousand_verdicts_of_every_format(measured: Callable[..., None]) -> None:
    formats = (ModelFormat.GGUF, ModelFormat.GGUF, ModelFormat.FP8, ModelFormat.EXL3)
    listed = [
        listed_as(number)._replace(
            format=formats[number % 4], header=dense(24 + number % 57, 60 * MIB + number * 4096)
        )
        for number in range(10_000)
    ]
    engines = [EngineInfo(name, name, frozenset(formats), "") for name in ("vllm", "exllamav3")]
    shapes, contexts, cards = Shapes(), count(8192, 256), cycle(("RTX 3060 12GB", "RTX 4090"))

    def seconds() -> float:
        card = card_named(next(cards), 64 << 30)
        judging = Judging(next(contexts), "f16", card, lambda: engines)
        begun = time.process_time()
        assert len(row_verdicts(listed, shapes, judging)) == 10_000
        return time.process_time() - begun

    seconds()
    measured(
        "10,000 verdicts, half of them of folders, another context and card",
        *(seconds() for _ in range(5)),
        unit="s of the processor",
        limit=1,
    )


def test_ten_thousand_rows(measured: Callable[..., None]) -> None:
    entries = bench_entries(10_000)

    def milliseconds() -> float:
        begun = time.process_time()
        rows = MadeRows().of(sorted_entries(entries, "verdict"))
        assert len(rows) == 10_000
        return (time.process_time() - begun) * 1000

    milliseconds()
    measured(
        "10,000 models sorted and made rows of",
        *(milliseconds() for _ in range(5)),
        unit="ms of the processor",
        limit=250,
    )
