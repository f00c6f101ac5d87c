"""The smallest Textual app with a list: what a cold start is held against."""

from textual.app import App, ComposeResult
from textual.widgets import OptionList


class ListOf200(App[None]):
    """A list of 200 rows and nothing else."""

    def compose(self) -> ComposeResult:
        """The list."""
        yield OptionList(*(f"row {number:03}" for number in range(200)))


if __name__ == "__main__":
    ListOf200().run()
