"""Whole servers in processes of their own, driven over loopback.

``python -m benchmarks.echo`` tells what a message, an opening and an idle connection
cost the process of a server: ours, those of other packages, and the least that the
event loop itself needs.
"""
