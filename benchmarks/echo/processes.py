"""The two processes of a measurement: a server, and the load that drives it."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .contenders import Unavailable

__all__ = ["Failed", "Load", "Sample", "Server", "Servers", "raise_limits"]

SOURCE = Path(__file__).with_name("load.c")
ROOT = Path(__file__).parents[2]
LOAD_CORE = 1
TIMEOUT = 120.0  # seconds for the slowest contender to do its part
SETTLING = 0.3  # seconds from the last response to when all handlers wait


class Failed(Exception):
    """A measurement went wrong; the message says how."""


@dataclass(frozen=True)
class Sample:
    """One round: microseconds of the server's threads on a core for each operation,
    and operations a second; or kilobytes for each connection, and no rate."""

    cost: float
    rate: float | None = None


def raise_limits() -> int:
    """Allow this process and its children all files that they may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


class Server:
    """A process that serves. Raises ``Unavailable`` if the contender cannot."""

    def __init__(self, contender: str, loop: str, *what: str) -> None:
        module = "benchmarks.echo.server"
        # What is logged later, when the load has broken off, is nobody's concern.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, contender, loop, *what],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            assert self.process.stdout is not None
            line = self.process.stdout.readline().strip()
            if not line.isdecimal():
                self.end()
                errors.seek(0)
                raise Unavailable(line or "".join(errors.readlines()[-1:]).strip())
        self.port = int(line)

    def resident(self) -> int:
        """Bytes of memory that it has."""
        path = Path(f"/proc/{self.process.pid}/statm")
        pages = int(path.read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> None:
        """Let it end, and wait for that."""
        try:
            self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


class Servers:
    """Servers that run, by contender, loop and what they serve; started when needed."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, ...], Server] = {}

    def get(self, *key: str) -> Server:
        """The server, started if it is not there yet. Raises ``Unavailable``."""
        if key not in self._running:
            self._running[key] = Server(*key)
        return self._running[key]

    def drop(self, *key: str) -> None:
        """Forget one that failed; it may be in any state."""
        server = self._running.pop(key, None)
        if server is not None:
            server.process.kill()
            server.end()

    def close(self) -> None:
        """End them all."""
        while self._running:
            self._running.popitem()[1].end()


class Load:
    """The program ``load.c``, compiled into a directory that is removed at the end."""

    def __init__(self, directory: str) -> None:
        self.program = Path(directory, "load")
        compiler = shlex.split(os.environ.get("CC", "cc"))
        command = [*compiler, "-O2", "-o", str(self.program), str(SOURCE)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise Failed(f"no C compiler: {error}") from None
        if done.returncode != 0:
            raise Failed(f"{SOURCE.name} cannot be compiled: {done.stderr.strip()}")

    @classmethod
    @contextlib.contextmanager
    def compiled(cls) -> Iterator[Load]:
        """Compile it for as long as it is needed. Raises ``Failed``."""
        directory = tempfile.mkdtemp(prefix="load-")
        try:
            yield cls(directory)
        finally:
            shutil.rmtree(directory)

    def measure(self, server: Server, mode: str, **options: int) -> Sample:
        """Drive a server for a round. Raises ``Failed``."""
        try:
            done = subprocess.run(
                self._command(server, mode, options),
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"not done after {TIMEOUT:.0f} s") from None
        if done.returncode != 0:
            problem = done.stderr.strip() or f"the load ended with {done.returncode}"
            raise Failed(problem.splitlines()[0])
        count, elapsed, spent = map(int, done.stdout.split())
        if count == 0:
            raise Failed("nothing was done in the time")
        return Sample(spent / count / 1e3, count / elapsed * 1e9)

    def memory(self, server: Server, connections: int, **options: int) -> Sample:
        """Open connections, and see what they add to the server. Raises ``Failed``."""
        few = 100  # whatever is made once for all connections is made by these
        options |= {"connections": few + connections, "first": few}
        process = subprocess.Popen(
            self._command(server, "idle", options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        sizes = []
        for go_on in ("\n", ""):
            if not process.stdout.readline():
                raise Failed(process.communicate()[1].strip())
            time.sleep(SETTLING)
            sizes.append(server.resident())
            process.stdin.write(go_on)
            process.stdin.flush()
        server.process.kill()  # before the load goes, or it would report 10 000 losses
        process.communicate()
        return Sample((sizes[1] - sizes[0]) / connections / 1e3)

    def _command(self, server: Server, mode: str, options: dict[str, int]) -> list[str]:
        pid, port = server.process.pid, server.port
        options = {"core": LOAD_CORE, "pid": pid, "port": port, **options}
        pairs = [f"{name}={value}" for name, value in options.items()]
        return [str(self.program), mode, *pairs]
