"""Fuzzing of the Sans-I/O core; ``python -m fuzz --help`` tells how.

A target is a plain function ``check(data)`` that raises if a promise is broken. Its
oracles: the compiled form does what the interpreted one does, whatever the cuts; a
slow model, written for reading, says the same; nothing is raised or logged that a
peer must not cause. ``corpus/`` has a few inputs for each target, and
``tests/core/test_corpus.py`` replays them.
"""
