"""One run of the suite, against a server or against a client."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from tests.children import Child
from tests.ports import free_port

from . import judging
from .progress import follow
from .suite import ROOT, Suite

START = 60  # seconds in which a process must be up
Process = subprocess.Popen[Any]


@contextlib.contextmanager
def process(
    command: Sequence[str], errors: IO[str], **options: Any
) -> Iterator[Process]:
    """A process that is ended with the block, if it has not ended before."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "no_proxy": "127.0.0.1"}
    with Child(
        command, stderr=errors, text=True, cwd=ROOT, env=environment, **options
    ) as started:
        yield started


class Run:
    """One run: its cases, and the folder with its report and its logs.

    Args:
        suite: where the suite is installed.
        form: form of the package that is examined.
        layer: layer of the package that is examined.
        cases: what to run.
        folder: emptied first, or a report of before could pass for this one.

    """

    def __init__(
        self,
        suite: Suite,
        form: str,
        layer: str,
        cases: Sequence[str],
        folder: Path,
    ) -> None:
        self.suite = suite
        self.form = form
        self.layer = layer
        self.cases = cases
        self.folder = folder
        self.agent = f"sansocket-{form}"
        self.complaints: list[str] = []
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def server(self, module: str = "server") -> None:
        """Let the suite examine the server."""
        with (
            self.log("tested").open("w") as tested,
            self.log("suite").open("w") as errors,
            process(self.program(module), tested, stdout=subprocess.PIPE) as server,
        ):
            assert server.stdout is not None
            words = server.stdout.readline().split()
            if not words:
                self.complaints.append("the server did not start")
                return
            servers = [{"agent": self.agent, "url": words[0].rstrip("/")}]
            command = self.suite_command("fuzzingclient", servers=servers)
            with process(command, errors, stdout=subprocess.PIPE) as suite:
                self.watch(suite, "the suite", errors)
            if server.poll() is not None:
                self.complaints.append(f"the server ended itself: {server.returncode}")

    def uvicorn(self) -> None:
        """Let the suite examine the server inside of uvicorn."""
        self.server("uvicorn_server")

    def client(self) -> None:
        """Let the suite examine the client."""
        port = free_port()
        command = self.suite_command("fuzzingserver", url=f"ws://127.0.0.1:{port}")
        program = [*self.program("client"), "--agent", self.agent, str(port)]
        with (
            self.log("tested").open("w") as tested,
            self.log("suite").open("w") as errors,
            process(command, errors, stdout=errors) as suite,
        ):
            if not accepts(port, suite):
                self.complaints.append("the suite did not start")
                return
            with process(
                program, tested, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as client:
                assert client.stdin is not None
                with contextlib.suppress(BrokenPipeError), client.stdin:
                    client.stdin.write("\n".join(self.cases))
                self.watch(client, "the client", tested)

    def judge(self) -> bool:
        """Print what came of it; tell whether all is as it should be."""
        outcomes = judging.read_report(self.folder, self.agent)
        log = self.log("tested").read_text(encoding="utf-8", errors="replace")
        problems = judging.problems(outcomes, self.cases, log) + self.complaints
        print(f"{len(outcomes)} of {len(self.cases)} cases; report in {self.folder}")
        print(*judging.counts(outcomes), sep="\n")
        for line in judging.exceptions(outcomes):
            print(f"  {line}")
        for problem in problems:
            print(f"FAILED: {problem}")
        return not problems

    # --- inside

    def log(self, name: str) -> Path:
        """The file for what a process writes to standard error."""
        return self.folder / f"{name}.log"

    def program(self, side: str) -> list[str]:
        """The command that runs what is to be examined."""
        module = f"{__package__}.{side}"
        chosen = ("--form", self.form, "--layer", self.layer)
        return [sys.executable, "-m", module, *chosen]

    def suite_command(self, mode: str, **spec: Any) -> list[str]:
        """The command that runs the suite, with its specification written."""
        spec |= {"outdir": str(self.folder), "cases": list(self.cases)}
        file = self.folder / "spec.json"
        file.write_text(json.dumps(spec, indent=1), encoding="utf-8")
        return self.suite.command(mode, file)

    def watch(self, running: Process, name: str, errors: IO[str]) -> None:
        """Follow a process to its end; keep what it has to say besides progress."""
        try:
            others = follow(running, len(self.cases))
        except TimeoutError as exc:
            self.complaints.append(f"{name}: {exc}")
            return
        errors.write("\n".join(others))
        if status := running.wait(START):
            self.complaints.append(f"{name} ended with status {status}")


def accepts(port: int, owner: Process) -> bool:
    """Wait until a process accepts connections; tell whether it does."""
    for _ in range(START * 10):
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        if owner.poll() is not None:
            break
        time.sleep(0.1)
    return False
