"""Fuzzing of the readers of outside bytes: Hypothesis in the suite, atheris by ``make fuzz``."""
