"""What can go wrong when the disk is kept in order."""

from __future__ import annotations

from modeldeck.engines.errors import ModeldeckError


class HouseError(ModeldeckError):
    """A change of the stores was refused, or could not be carried out."""
