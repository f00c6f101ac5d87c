"""What is kept between two runs, in one SQLite file: conversations and model headers already read.

``database`` owns the file; each other module owns its own tables and knows none of the rest.
"""
