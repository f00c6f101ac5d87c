"""The row under the cursor is sized by llama.cpp itself, in a child that does not stay."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest

from tests.real.test_first_loop import put_cursor_on
from tests.support.gguf_files import llama_metadata, llama_tensors, write_gguf
from tests.support.large_headers import write_eight_billion
from tests.support.machine import Machine

pytestmark = pytest.mark.real

WORKER = "modeldeck.engines.workers.dry_run"


def sizers() -> list[psutil.Process]:
    """Children below this test that size models."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if WORKER in " ".join(process.cmdline())
    ]


def test_llama_cpp_agrees_on_the_row_under_the_cursor(machine: Machine) -> None:
    write_eight_billion(machine.models / "eight.gguf")
    with machine.deck() as deck:
        deck.wait_for(r"^.eight +Q4_K_M")
        deck.wait_for(r"llama\.cpp sized it")
        (sizer,) = sizers()
        assert sizer.nice() > 0
        deck.press("c")
        deck.wait_for(r"ctx 16k")
        deck.wait_for(r"llama\.cpp sized it")
        deck.press("q")
        assert deck.wait_exit() == 0
        assert not sizers()
    assert not list(machine.temporary.glob("modeldeck-*"))


def test_a_deck_that_is_killed_leaves_no_sizer(machine: Machine) -> None:
    write_eight_billion(machine.models / "eight.gguf")
    with machine.deck() as deck:
        deck.wait_for(r"llama\.cpp sized it")
        (sizer,) = sizers()
        psutil.Process(deck.pid).kill()
        sizer.wait(timeout=10)
        assert not sizer.is_running()


def test_a_file_that_llama_cpp_refuses_is_told_before_it_is_loaded(machine: Machine) -> None:
    metadata = llama_metadata(name="Odd") | {"llama.attention.head_count": 8}
    tensors = [
        replace(tensor, shape=(64, 48)) if "attn_q" in tensor.name else tensor
        for tensor in llama_tensors()
    ]
    write_gguf(machine.models / "odd.gguf", metadata, tensors)
    with machine.deck() as deck:
        put_cursor_on(deck, "odd")
        deck.wait_for(r"llama\.cpp refuses")
