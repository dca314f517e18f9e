"""Tests of the session: two peers, a link of bytes, and a clock moved by hand."""
