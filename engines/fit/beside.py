"""What llama-server loads beside a model: a draft model and LoRA adapters."""

from __future__ import annotations

from typing import Final, NamedTuple

from modeldeck.engines.fit.shape import Shape
from modeldeck.engines.types import ModelHeader, WeightTable


class Draft(NamedTuple):
    """A smaller model that guesses tokens ahead.

    Attributes:
        model: a path, or ``hf:repo[:file]``.
        shape: what it takes.
    """

    model: str
    shape: Shape


class Adapter(NamedTuple):
    """A LoRA adapter.

    Attributes:
        path: its file.
        architecture: of the model that it is made for.
        weights: its tensors; each lies where the tensor lies that it changes.
    """

    path: str
    architecture: str
    weights: WeightTable


class Beside(NamedTuple):
    """All that goes with a model."""

    draft: Draft | None = None
    adapters: tuple[Adapter, ...] = ()

    def with_model(self, shape: Shape) -> Shape:
        """The same model with these beside it."""
        if not self.draft and not self.adapters:
            return shape
        return shape._replace(
            draft=self.draft.shape if self.draft else None,
            adapters=tuple(one.weights for one in self.adapters),
        )

    def refusal(self, engine: str, header: ModelHeader) -> str:
        """Why the model cannot be loaded with these, as a clause; empty when it can."""
        if (self.draft or self.adapters) and engine != "llama_server":
            return "a draft model and adapters are judged for llama_server alone"
        architecture = header.architecture
        last = max((block.number for block in header.weights.blocks), default=0)
        for one in self.adapters:
            if one.architecture != architecture:
                return f"the adapter is for {one.architecture}, the model is {architecture}"
            if any(block.number > last for block in one.weights.blocks):
                return f"the adapter has more blocks than the model's {last + 1}"
        return ""

    def llama_server_words(self, *, on_gpu: bool) -> tuple[str, ...]:
        """What is added to the ``llama-server`` line (``common/arg.cpp`` names the options)."""
        words = [word for one in self.adapters for word in ("--lora", one.path)]
        if self.draft:
            model = self.draft.model
            remote = model.startswith("hf:")
            words += ["-hfd", model.removeprefix("hf:")] if remote else ["-md", model]
            words += ["-ngld", "999"] if on_gpu else ["-ngld", "0", "-devd", "none"]
        return tuple(words)


NOTHING_BESIDE: Final = Beside()
