"""Fuzzing of every reader that sees bytes from outside: Hypothesis in the suite, atheris by hand."""
