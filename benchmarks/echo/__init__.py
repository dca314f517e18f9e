"""Echo servers in processes of their own, driven over loopback.

``python -m benchmarks.echo`` compares the asyncio driver with the ``websockets``
package: what a message costs the server's process, and how many go through.
"""
