"""Colour themes as data, and their loader. Imports nothing that draws."""

from modeldeck.themes.loader import load_themes
from modeldeck.themes.types import TOKENS, ThemeData

__all__ = ["TOKENS", "ThemeData", "load_themes"]
