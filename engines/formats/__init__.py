"""Header readers for model files."""
