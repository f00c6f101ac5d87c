"""Named samplings to begin from. They are data: ``sampling_presets.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from modeldeck.engines.chat import Sampling


@dataclass(frozen=True, slots=True)
class Preset:
    """A sampling with a name.

    Attributes:
        name: as typed.
        hint: what it is good for.
        sampling: without seed and token limit.
    """

    name: str
    hint: str
    sampling: Sampling

    def over(self, sampling: Sampling) -> Sampling:
        """The preset, with the seed and the token limit of ``sampling``."""
        return self.sampling._replace(seed=sampling.seed, max_tokens=sampling.max_tokens)


def load_presets() -> tuple[Preset, ...]:
    """The presets of the file, in its order."""
    text = Path(__file__).with_name("sampling_presets.toml").read_text(encoding="utf-8")
    return tuple(
        Preset(entry.pop("name"), entry.pop("hint"), Sampling(**entry))
        for entry in tomllib.loads(text)["preset"]
    )


def preset_like(presets: tuple[Preset, ...], sampling: Sampling) -> Preset | None:
    """The preset that ``sampling`` is, if it is one."""
    return next((p for p in presets if p.over(sampling) == sampling), None)
