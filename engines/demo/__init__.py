"""The packaged demo model, its card and the script that trains it."""
