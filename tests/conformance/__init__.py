"""The Autobahn test suite against both sides of a connection.

``python -m tests.conformance server`` lets it examine a server made of
``ServerProtocol``, ``python -m tests.conformance client`` a client made of
``ClientProtocol``; ``--help`` tells the rest.
"""
