"""A soak: servers with all options and clients that misbehave, for as long as you like.

``python -m tests.soak --minutes 30`` runs it; nothing may be more at its end than at
its beginning.
"""
