"""The options of a load, one step at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.fit.card_group import cards_named
from modeldeck.engines.fit.options import FitOptions
from modeldeck.engines.types import (
    ALL_LAYERS,
    BlockWeights,
    Draft,
    LocalModel,
    ModelFormat,
    ModelHeader,
    Plan,
    Source,
    Split,
    WeightTable,
)
from modeldeck.tui.load_beside import Offers, offers_for, splits_of
from modeldeck.tui.load_options import (
    OptionField,
    option_fields,
    with_value,
)


def header(*, experts: int = 0, window: int = 0, trained: int = 32768) -> ModelHeader:
    blocks = tuple(BlockWeights(number, 1000, experts, 0) for number in range(10))
    hparams = {"llama.attention.sliding_window": window} if window else {}
    return ModelHeader(
        "llama", "m", 10_000, "Q4_0", trained, 100, True, hparams, WeightTable(blocks), 10
    )


def fields_of(found: ModelHeader, plan: Plan | None = None) -> dict[str, OptionField]:
    fields = option_fields(FitOptions(), plan or Plan(), found)
    return {field.name: field for field in fields}


def test_only_what_means_something_is_offered() -> None:
    assert "cpu_moe_blocks" not in fields_of(header())
    assert "cpu_moe_blocks" in fields_of(header(experts=500))
    assert "swa_full" not in fields_of(header())
    assert "swa_full" in fields_of(header(window=1024))


def test_no_more_context_than_the_model_was_trained_for() -> None:
    assert fields_of(header(trained=10_000))["context_tokens"].steps == (2048, 4096, 8192, 10_000)


def test_what_nobody_set_shows_what_was_planned() -> None:
    field = fields_of(header(), Plan(gpu_layers=8))["gpu_layers"]
    assert (field.text, field.given, field.moved(-1)) == ("7 of 10", False, 7)
    assert fields_of(header(), Plan(gpu_layers=ALL_LAYERS))["gpu_layers"].text == "all 10"
    assert fields_of(header(), Plan(gpu_layers=0))["gpu_layers"].text == "none"


def test_a_value_between_the_steps_goes_to_its_neighbours() -> None:
    context = fields_of(header(), Plan(context_tokens=5000))["context_tokens"]
    assert (context.moved(-1), context.moved(1)) == (4096, 8192)


def test_what_an_option_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="kv_type cannot be 'q3'"):
        with_value(FitOptions(), "kv_type", "q3")


@given(st.data())
def test_what_was_set_is_kept_and_the_rest_planned(data: st.DataObject) -> None:
    options, chosen = FitOptions(), dict[str, object]()
    found, planned = header(experts=500, window=1024), Plan(context_tokens=4096, gpu_layers=0)
    for _ in range(data.draw(st.integers(0, 12))):
        field = data.draw(st.sampled_from(option_fields(options, planned, found)))
        value = field.moved(data.draw(st.integers(-20, 20)))
        assert value in field.steps
        if data.draw(st.booleans()):
            options, chosen[field.name] = with_value(options, field.name, value), value
        else:
            options = with_value(options, field.name, None)
            chosen.pop(field.name, None)
    made = options.over(planned)
    for name in fields_of(found):
        assert getattr(made, name) == chosen.get(name, getattr(planned, name))
    assert made.batch_tokens >= made.micro_batch_tokens


def test_a_whole_plan_leaves_nothing_to_plan() -> None:
    plan = Plan(context_tokens=777, kv_type="q8_0", gpu_layers=3, slots=2, swa_full=True)
    options = FitOptions.of(plan)
    assert all(field.given for field in option_fields(options, plan, header(window=9)))
    assert options.over(Plan()) == plan


BESIDE = Offers(("/m/small.gguf",), own_blocks=True, adapters=("/m/a.gguf", "/m/b.gguf"))


def test_a_draft_and_adapters_are_walked_through_like_any_option() -> None:
    options, seen = FitOptions(), list[tuple[str, str]]()
    for step in (1, 1, 1, -1):
        for name in ("draft", "adapters"):
            fields = option_fields(options, options.over(Plan()), header(), BESIDE)
            field = next(field for field in fields if field.name == name)
            options = with_value(options, name, field.moved(step), BESIDE)
        fields = option_fields(options, options.over(Plan()), header(), BESIDE)
        texts = [field.text for field in fields if field.name in ("draft", "adapters")]
        seen.append((texts[0], texts[1]))
    assert seen == [("own blocks", "a"), ("small", "b"), ("small", "all"), ("own blocks", "b")]
    assert (options.draft, options.adapters) == (Draft(), ("/m/b.gguf",))
    options = with_value(with_value(options, "draft", None), "adapters", None)
    assert (options.draft, options.adapters) == (None, ())


def test_without_anything_to_load_besides_nothing_is_offered() -> None:
    assert not {"draft", "adapters"} & fields_of(header()).keys()


def test_a_draft_has_the_same_vocabulary_and_is_smaller() -> None:
    def listed(name: str, size: int, vocabulary: int = 100, kind: str = "gpt2") -> LocalModel:
        path = Path("/m") / name
        made = header()._replace(vocabulary_size=vocabulary, hparams={"tokenizer.ggml.model": kind})
        return LocalModel(name, path, (path,), Source.FOLDER, ModelFormat.GGUF, size, made)

    model = listed("big", 1000)
    others = [
        model,
        listed("small", 100),
        listed("smaller", 50, 120),
        listed("larger", 2000),
        listed("other words", 100, 5000),
        listed("other kind", 100, kind="llama"),
    ]
    offers = offers_for(model, others, [Path("/m/lora.gguf")])
    assert offers == Offers(("/m/smaller", "/m/small"), adapters=("/m/lora.gguf",))


def test_several_cards_are_used_as_one_says() -> None:
    card = cards_named("RTX 3060 12GB + RTX 3090", 32 << 30)
    offers = Offers(splits=splits_of(card))
    options = FitOptions()
    for step, split in (
        (-1, Split("none", (0, 1))),
        (1, Split("layer", (11906, 24124))),
        (1, Split("tensor", (1, 1))),
    ):
        fields = option_fields(options, options.over(Plan()), header(), offers)
        field = next(field for field in fields if field.name == "split")
        options = with_value(options, "split", field.moved(step), offers)
        assert options.split == split
    assert with_value(options, "split", None, offers).split is None
    assert splits_of(cards_named("RTX 3090", 0)) == ()
