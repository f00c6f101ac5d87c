"""The verdict on a model that none of the engines there are can read."""

from __future__ import annotations

from modeldeck.engines.fit.types import Verdict, VerdictKind
from modeldeck.engines.types import LocalModel


def no_engine(model: LocalModel) -> Verdict:
    """It cannot run here, however much memory there is."""
    reason = f"cannot run here: no engine for {model.format.written}"
    return Verdict(VerdictKind.CANNOT_RUN, "policy", reason)
