"""The options of a load, one step at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.types import ALL_LAYERS, BlockWeights, ModelHeader, Plan, WeightTable
from modeldeck.tui.load_options import EVERY_OPTION, LoadOptions, option_fields

_PLANNED = Plan(context_tokens=4096, gpu_layers=21)


def header(*, experts: int = 0, window: int = 0, trained: int = 32768) -> ModelHeader:
    blocks = tuple(BlockWeights(number, 1000, experts, 0) for number in range(10))
    hparams = {"llama.attention.sliding_window": window} if window else {}
    return ModelHeader(
        "llama", "m", 10_000, "Q4_0", trained, 100, True, hparams, WeightTable(blocks), 10
    )


def names(found: ModelHeader) -> list[str]:
    return [field.name for field in option_fields(LoadOptions(Plan()), found)]


def test_only_what_means_something_is_offered() -> None:
    assert "cpu_moe_blocks" not in names(header())
    assert "cpu_moe_blocks" in names(header(experts=500))
    assert "swa_full" not in names(header())
    assert "swa_full" in names(header(window=1024))
    assert set(names(header(experts=500, window=1024))) == EVERY_OPTION


def test_no_more_context_than_the_model_was_trained_for() -> None:
    context = option_fields(LoadOptions(Plan()), header(trained=10_000))[0]
    assert context.steps == (2048, 4096, 8192, 10_000)


def test_what_nobody_set_shows_what_was_planned() -> None:
    fields = {f.name: f for f in option_fields(LoadOptions(Plan()), header(), planned_layers=7)}
    assert fields["gpu_layers"].text == "7 of 10"
    assert not fields["gpu_layers"].given
    assert fields["gpu_layers"].moved(-1) == 7


def test_a_value_between_the_steps_goes_to_its_neighbours() -> None:
    options = LoadOptions(Plan(context_tokens=5000))
    context = option_fields(options, header())[0]
    assert (context.moved(-1), context.moved(1)) == (4096, 8192)


@given(st.data())
def test_only_what_was_set_is_put_onto_a_plan(data: st.DataObject) -> None:
    options = LoadOptions(Plan())
    found = header(experts=500, window=1024)
    chosen: dict[str, object] = {}
    for _ in range(data.draw(st.integers(0, 12))):
        field = data.draw(st.sampled_from(option_fields(options, found)))
        if field.given and data.draw(st.booleans()):
            options = options.without(field.name)
            chosen.pop(field.name, None)
        else:
            value = field.moved(data.draw(st.integers(-20, 20)))
            assert value in field.steps
            options = options.with_value(field.name, value)
            chosen[field.name] = value
    made = options.onto(_PLANNED)
    assert options.given == set(chosen)
    for name in EVERY_OPTION:
        wanted = chosen[name] if name in chosen else getattr(_PLANNED, name)
        assert getattr(made, name) == wanted
    assert made.batch_tokens >= made.micro_batch_tokens


def test_all_layers_is_said_as_such() -> None:
    options = LoadOptions(Plan(gpu_layers=ALL_LAYERS))
    fields = {f.name: f for f in option_fields(options, header(), planned_layers=10)}
    assert fields["gpu_layers"].text == "all 10"
