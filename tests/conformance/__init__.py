"""The Autobahn test suite against both sides of a connection.

``python -m tests.conformance server`` lets it examine ``sansocket serve``, ``python -m
tests.conformance client`` a client made with ``sansocket.asyncio``; with ``--layer
core`` the connections without I/O are examined instead. ``--help`` tells the rest.
"""
