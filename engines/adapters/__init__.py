"""Engines, one file per family."""
