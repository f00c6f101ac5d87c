"""What a load teaches, and which verdicts it may speak for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modeldeck.engines.buffers import Buffer
from modeldeck.engines.fit.cards import card_of
from modeldeck.engines.fit.types import Corrections, Verdict, VerdictKind
from modeldeck.engines.fit.verdict import judge
from modeldeck.engines.hardware.types import GpuSnapshot, Mig
from modeldeck.engines.store.database import Database
from modeldeck.engines.store.schemas import SCHEMAS
from modeldeck.engines.types import LoadedModel, LocalModel, ModelFormat, Plan, Source
from modeldeck.engines.units import MIB
from modeldeck.tui.learned_memory import Held, LearnedMemory, MemoryLesson, plan_text
from tests.accuracy.models import header
from tests.support.decks import QUIET

(GPU,) = QUIET.gpus
CARD = card_of(QUIET)
PLAN = Plan(context_tokens=4096, gpu_layers=33)
ON_CUDA = (
    Buffer("CPU_Mapped", "weights", 70 * MIB),
    Buffer("CUDA0", "weights", 3577 * MIB),
    Buffer("CUDA0", "kv", 2048 * MIB),
    Buffer("CUDA0", "compute", 100 * MIB),
)
ON_CPU = (Buffer("CPU", "weights", 3647 * MIB), Buffer("CPU", "compute", 100 * MIB))
IN_BUFFERS = (3577 + 2048 + 100) * MIB


def model(name: str = "Llama-2-7B") -> LocalModel:
    path = Path(f"/models/{name}.gguf")
    found = header("Llama-2-7B", "Q4_0")
    return LocalModel(name, path, (path,), Source.FOLDER, ModelFormat.GGUF, 4 << 30, found)


def loaded(plan: Plan = PLAN, build: str = "b1", engine: str = "llama_server") -> LoadedModel:
    return LoadedModel("1", engine, build, model(), plan, 4096, 77, 1, "CUDA0")


def held(
    buffers: tuple[Buffer, ...] = ON_CUDA,
    gpus: tuple[GpuSnapshot, ...] = (GPU,),
    by_gpu: dict[int, int] | None = None,
) -> Held:
    return Held(buffers, gpus, {0: IN_BUFFERS + 300 * MIB} if by_gpu is None else by_gpu)


@pytest.fixture
def learned(tmp_path: Path) -> Iterator[LearnedMemory]:
    database = Database.open(tmp_path / "deck.db", SCHEMAS)
    yield LearnedMemory(database)
    database.close()


def lesson_of(learned: LearnedMemory) -> MemoryLesson:
    lesson = learned.lesson()
    assert lesson is not None
    return lesson


def judged(plan: Plan = PLAN) -> Verdict:
    found = model().header
    assert found is not None
    return judge(found, plan, CARD)


def test_the_same_load_is_measured_whatever_the_number_of_threads(learned: LearnedMemory) -> None:
    assert learned.take(loaded(PLAN._replace(gpu_layers=999)), held())
    found = lesson_of(learned).measured(judged(), PLAN._replace(threads=3), model(), CARD)
    assert found.source == "measured"
    assert found.bill is not None
    assert found.bill.total_gpu_bytes == IN_BUFFERS + 300 * MIB
    assert found.reason.startswith("fits: 5.9 of 11.6 GiB")


@pytest.mark.parametrize(
    "other",
    [
        PLAN._replace(context_tokens=8192),
        PLAN._replace(kv_type="q8_0"),
        PLAN._replace(micro_batch_tokens=256),
        PLAN._replace(gpu_layers=20),
        PLAN._replace(slots=2),
        PLAN._replace(flash_attention=False),
        PLAN._replace(swa_full=True),
        PLAN._replace(mmap=False),
    ],
)
def test_any_other_option_is_another_load(learned: LearnedMemory, other: Plan) -> None:
    assert learned.take(loaded(), held())
    assert plan_text(other, 32) != plan_text(PLAN, 32)
    verdict = judged(other)
    assert lesson_of(learned).measured(verdict, other, model(), CARD) is verdict


def test_it_speaks_of_this_card_this_engine_and_this_file_alone(learned: LearnedMemory) -> None:
    assert learned.take(loaded(), held())
    lesson, verdict = lesson_of(learned), judged()
    for card in (CARD._replace(name="RTX 3090 24GB"), CARD._replace(what_if=True)):
        assert lesson.measured(verdict, PLAN, model(), card) is verdict
    assert lesson.measured(verdict, PLAN, model(), CARD, "llama_cpp_python") is verdict
    bigger = model()._replace(size_bytes=5 << 30)
    assert lesson.measured(verdict, PLAN, bigger, CARD) is verdict


def test_a_measured_load_is_judged_for_what_is_free_now(learned: LearnedMemory) -> None:
    assert learned.take(loaded(), held())
    little = CARD._replace(free_bytes=4 << 30)
    found = lesson_of(learned).measured(judged(), PLAN, model(), little)
    assert (found.kind, found.source) == (VerdictKind.DOES_NOT_FIT, "measured")


def test_what_the_formula_refused_is_known_to_run(learned: LearnedMemory) -> None:
    assert learned.take(loaded(), held())
    refused = judged()._replace(kind=VerdictKind.DOES_NOT_FIT, layers_gpu=0, gpu_layers=0)
    found = lesson_of(learned).measured(refused, PLAN, model(), CARD)
    assert (found.kind, found.layers_gpu, found.gpu_layers) == (VerdictKind.FITS, 32, 33)


def test_two_loads_correct_others_of_the_architecture(learned: LearnedMemory) -> None:
    assert learned.lesson() is None
    for context in (4096, 8192):
        assert learned.take(loaded(PLAN._replace(context_tokens=context)), held())
    lesson = lesson_of(learned)
    card = lesson.card_for(CARD, "llama")
    assert card.learnt is not None
    assert card.learnt.gpu is not None
    assert card.learnt.gpu.overhead_bytes == 50 * MIB
    assert card.learnt[1:] == (None, None)
    assert lesson.card_for(CARD, "qwen3") is CARD
    assert lesson.card_for(CARD, "llama", "ollama") is CARD
    assert lesson.card_for(CARD._replace(what_if=True), "llama").learnt is None


def test_the_cpu_is_learnt_apart_and_holds_for_a_card_that_is_assumed(
    learned: LearnedMemory,
) -> None:
    for context in (4096, 8192):
        plan = PLAN._replace(context_tokens=context, gpu_layers=0)
        assert learned.take(loaded(plan), held(ON_CPU, by_gpu={}))
    card = lesson_of(learned).card_for(CARD._replace(what_if=True), "llama")
    assert isinstance(card.learnt, Corrections)
    assert (card.learnt.gpu, card.learnt.mixed) == (None, None)
    assert card.learnt.cpu is not None


def test_a_new_build_forgets_what_the_old_one_took(learned: LearnedMemory) -> None:
    assert learned.take(loaded(), held())
    assert learned.take(loaded(PLAN._replace(context_tokens=8192), build="b2"), held())
    lesson, verdict = lesson_of(learned), judged()
    assert lesson.measured(verdict, PLAN, model(), CARD) is verdict
    assert lesson.card_for(CARD, "llama") is CARD


@pytest.mark.parametrize(
    "nothing",
    [
        held(buffers=()),
        held(buffers=ON_CUDA[:3]),
        held(buffers=(*ON_CUDA, Buffer("CUDA1", "compute", MIB))),
        held(buffers=(*ON_CPU, Buffer("RPC[10.0.0.2:50052]", "weights", MIB))),
        held(gpus=(GPU, GPU._replace(number=1)), by_gpu={}),
        held(gpus=(), by_gpu={}),
    ],
    ids=["no log", "half a log", "two cards", "another machine", "which card", "no card"],
)
def test_nothing_is_learnt_where_it_is_not_sure_what_was_measured(
    learned: LearnedMemory, nothing: Held
) -> None:
    assert not learned.take(loaded(), nothing)
    assert learned.lesson() is None


def test_on_a_machine_with_two_cards_it_is_the_one_that_the_process_holds(
    learned: LearnedMemory,
) -> None:
    other = GPU._replace(number=1, name="NVIDIA GeForce RTX 3090", memory_total_bytes=24576 * MIB)
    both = held(gpus=(GPU, other), by_gpu={1: IN_BUFFERS + 300 * MIB})
    assert learned.take(loaded(), both)
    verdict = judged()
    assert lesson_of(learned).measured(verdict, PLAN, model(), CARD) is verdict


def test_a_card_that_is_cut_up_is_not_the_one_that_runs(learned: LearnedMemory) -> None:
    whole = GPU._replace(number=1, mig=Mig.PARENT)
    assert learned.take(loaded(), held(gpus=(GPU, whole), by_gpu={}))


def test_a_container_that_hides_its_processes_still_measures_the_buffers(
    learned: LearnedMemory,
) -> None:
    assert learned.take(loaded(), held(by_gpu={}))
    found = lesson_of(learned).measured(judged(), PLAN, model(), CARD)
    assert found.bill is not None
    assert found.bill.compute_gpu_bytes == 100 * MIB
    assert found.bill.context_overhead_bytes == 250 * MIB
    assert found.bill.loads == 0
