"""Which engine a model gets, and the sentence that says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.choice import EngineStatus, Rule, choose, policy
from modeldeck.engines.types import (
    Device,
    EngineInfo,
    LoadedModel,
    LocalModel,
    ModelFormat,
    Plan,
    Probe,
    Source,
)

MODEL = LocalModel(
    "Qwen3-8B", Path("/m/q.gguf"), (Path("/m/q.gguf"),), Source.FOLDER, ModelFormat.GGUF, 1
)
RULES = (Rule(frozenset({"gguf"}), ("first", "second"), "{engine} is made for it"),)


def engine(
    name: str, *devices: str, here: bool = True, asked: bool = True, runs: bool = True
) -> EngineStatus:
    formats = frozenset({ModelFormat.GGUF} if runs else ())
    info = EngineInfo(name, name.title(), formats, "")
    if not asked:
        return EngineStatus(info)
    if not here:
        return EngineStatus(
            info, Probe(False, problem=f"{name} is not installed.", next_step=f"get {name}")
        )
    found = tuple(Device(device, "", None, None) for device in devices or ("CPU",))
    return EngineStatus(info, Probe(True, devices=found))


def loaded_in(name: str) -> LoadedModel:
    return LoadedModel("1", name, "", MODEL, Plan(), 4096, None, 0, "CPU")


def test_the_first_of_the_policy_runs_it() -> None:
    choice = choose(MODEL, (engine("second"), engine("first")), rules=RULES)
    assert (choice.engine, choice.others) == ("first", ("second",))
    assert choice.reason == "First is made for it."


def test_one_with_a_gpu_comes_before_one_without() -> None:
    choice = choose(MODEL, (engine("first"), engine("second", "CPU", "CUDA0")), rules=RULES)
    assert choice.engine == "second"
    assert choice.reason == "Second has the GPU (CUDA0); First has not."


def test_one_that_has_it_loaded_comes_before_all() -> None:
    engines = (engine("first", "CUDA0"), engine("second"))
    choice = choose(MODEL, engines, loaded=loaded_in("second"), rules=RULES)
    assert (choice.engine, choice.reason) == ("second", "Second has it loaded.")


def test_the_user_decides_for_a_model() -> None:
    engines = (engine("first", "CUDA0"), engine("second"))
    choice = choose(MODEL, engines, wanted="second", rules=RULES)
    assert (choice.engine, choice.chosen_by_user) == ("second", True)
    assert choice.reason == "You chose Second for this model."


def test_the_user_decides_even_against_the_one_that_has_it_loaded() -> None:
    engines = (engine("first"), engine("second"))
    choice = choose(MODEL, engines, wanted="first", loaded=loaded_in("second"), rules=RULES)
    assert choice.engine == "first"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("second", "Second, which you chose, is not usable here. First is made for it."),
        ("gone", "gone, which you chose, does not run GGUF. First is made for it."),
    ],
)
def test_a_chosen_engine_that_cannot_is_replaced_and_named(wanted: str, said: str) -> None:
    engines = (engine("first"), engine("second", here=False))
    choice = choose(MODEL, engines, wanted=wanted, rules=RULES)
    assert (choice.engine, choice.reason) == ("first", said)


def test_an_engine_the_policy_does_not_know_is_still_used() -> None:
    choice = choose(MODEL, (engine("stranger"),), rules=RULES)
    assert choice.engine == "stranger"
    assert choice.reason == "Stranger is the engine here that can run it."


def test_no_engine_says_what_is_missing_and_what_to_do() -> None:
    choice = choose(MODEL, (engine("second", here=False), engine("first", here=False)), rules=RULES)
    assert choice.engine is None
    assert choice.reason == "No engine here runs GGUF. first is not installed."
    assert choice.next_step == "get first"


def test_a_format_that_nobody_reads_names_who_would() -> None:
    choice = choose(MODEL, (engine("other", runs=False),), rules=RULES)
    assert choice.engine is None
    assert choice.next_step == "first or second would; modeldeck engines says how to get one."
    assert choice.decided


def test_before_every_engine_is_asked_nothing_is_final() -> None:
    assert not choose(MODEL, (engine("first", asked=False), engine("second")), rules=RULES).decided
    assert not choose(MODEL, (engine("first", asked=False),), wanted="first", rules=RULES).decided


def test_the_policy_speaks_of_every_format_once_and_says_why() -> None:
    for rule in policy():
        assert rule.engines
        assert "{engine}" in rule.why
    for format_ in ModelFormat:
        assert any(format_.value in rule.formats for rule in policy()), format_
    known = {str(f) for f in ModelFormat} | {str(s) for s in Source}
    assert "gguf" in known


STATUSES = st.lists(
    st.builds(
        engine,
        st.sampled_from(["first", "second", "third", "fourth"]),
        st.sampled_from(["CPU", "CUDA0"]),
        here=st.booleans(),
        asked=st.booleans(),
        runs=st.booleans(),
    ),
    unique_by=lambda status: status.info.name,
)


@given(STATUSES, st.none() | st.sampled_from(["first", "second", "fifth"]))
def test_what_is_chosen_can_run_it(engines: list[EngineStatus], wanted: str | None) -> None:
    choice = choose(MODEL, engines, wanted=wanted, rules=RULES)
    usable = {e.info.name for e in engines if e.available and e.info.formats}
    assert choice.reason.endswith(".")
    if choice.engine is None:
        assert not usable
        assert choice.next_step
    else:
        waits = {e.info.name for e in engines if e.probe is None and e.info.formats}
        assert choice.engine in usable | waits
        assert set(choice.others) == usable - {choice.engine}
