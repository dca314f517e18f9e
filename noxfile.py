"""Everything that is run on this project: ``nox -l`` lists the sessions."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.sessions = ["dev"]

PROJECT = nox.project.load_toml("pyproject.toml")
DEV: list[str] = PROJECT["project"]["optional-dependencies"]["dev"]
SANS_IO = ("tests", "--ignore=tests/e2e")
DRIVERS = [f"*/{name}" for name in ("asyncio/*", "cli/*", "standin/*")]
DRIVERS += [f"*/{name}.py" for name in ("_asgi", "sanic", "uvicorn")]
OF_DRIVERS = 99  # percent: all of it, but a child that is killed may not tell
SIDES = (["server"], ["client"], ["uvicorn"])  # that the conformance suite examines


def tools(*names: str) -> list[str]:
    """The requirements of these tools, as pyproject.toml has them."""
    return [line for line in DEV if re.split(r"[^\w-]", line)[0] in names]


@nox.session(reuse_venv=True)
def dev(session: nox.Session) -> None:
    """Format, lint, check types and test: the everyday session."""
    session.install("-e", ".[dev]")
    session.run("ruff", "format")
    session.run("ruff", "check", "--fix")
    session.run("mypy")
    session.run("pytest", *(session.posargs or SANS_IO))


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style and spelling."""
    session.install(*tools("ruff", "codespell"))
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("codespell")


@nox.session
def types(session: nox.Session) -> None:
    """Check types; tests/typing has samples of how users write."""
    session.install(*DEV)
    session.run("mypy")


@nox.session
@nox.parametrize("form", ["pure", "compiled"], ids=["pure", "compiled"])
def tests(session: nox.Session, form: str) -> None:
    """Run the tests in one form, the end-to-end tests left out."""
    build = {"pure": "pure", "compiled": "require"}[form]
    session.install("-e", ".[dev]", env={"SANSOCKET_BUILD": build})
    session.run(
        *("python", "-X", "dev", "-m", "pytest", *(session.posargs or SANS_IO)),
        env={"SANSOCKET_TEST_FORMS": form},
    )


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure the tests; fail unless they cover all of the Sans-I/O layers.

    This includes the drivers and all processes.
    """
    session.install("-e", ".[dev]", env={"SANSOCKET_BUILD": "pure"})
    session.run("coverage", "erase")
    session.run(
        *("coverage", "run", "-m", "pytest", *session.posargs),
        env={"SANSOCKET_TEST_FORMS": "pure"},
    )
    session.run(
        *("coverage", "run", "-m", "pytest", "-m", "apart"),
        *("tests/e2e/test_cli_sockets.py", "tests/e2e/test_cli_workers.py"),
        env={"SANSOCKET_TEST_FORMS": "pure"},
    )
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", f"--omit={','.join(DRIVERS)}")
    session.run(
        *("coverage", "report", f"--include={','.join(DRIVERS)}"),
        f"--fail-under={OF_DRIVERS}",
    )


@nox.session
def e2e(session: nox.Session) -> None:
    """Test the command line, in a terminal and with Node's ws, Chromium and others."""
    session.install("-e", ".[dev]")
    session.run("pytest", "-m", "", "tests/e2e", *session.posargs)


@nox.session
def apart(session: nox.Session) -> None:
    """Run the tests that ``pytest`` leaves out: see the marker in pyproject.toml."""
    session.install("-e", ".[dev]")
    session.run("pytest", "-m", "apart", *session.posargs)


SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined"
# A bytes object that lies about its size, so that a kernel reads behind it.
UNSAFE = """
import ctypes
from pathlib import Path
from sansocket._native import kernels
if b"__ubsan_handle_pointer_overflow" in Path(kernels.__file__).read_bytes():
    data = bytes(40)
    ctypes.c_ssize_t.from_address(id(data) + 16).value = 400
    kernels.utf8(0, data, 0, 400)
"""


@nox.session
def sanitize(session: nox.Session) -> None:
    """Test the compiled form under the address and undefined-behavior sanitizers."""
    session.install(*PROJECT["build-system"]["requires"], *DEV)
    env = sanitized(session)
    # Reports go to where pytest must not catch them: the process ends with them.
    session.run(
        *("python", "-m", "pytest", "-n", "0", "--capture=sys", "--timeout=600"),
        *(session.posargs or ["tests/core"]),
        env=env,
    )
    env["ASAN_OPTIONS"] += ":allocator_may_return_null=1"  # as malloc() does
    session.run("python", "-m", "tests.wrong_calls", env=env)


def sanitized(session: nox.Session) -> dict[str, str]:
    """Build the compiled form with the sanitizers; return the environment for it."""
    base = Path(session.create_tmp(), "build").resolve()
    package = base / "package"
    flags = dict.fromkeys(("CFLAGS", "LDFLAGS"), SANITIZERS)
    session.run(
        *("python", "setup.py", "-q", "build"),
        *(f"--build-base={base}", f"--build-lib={package}"),
        env={"SANSOCKET_BUILD": "require", **flags},
    )
    env = {
        "LD_PRELOAD": " ".join(map(library_of(session), ("asan", "ubsan"))),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python frees little at its end
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",  # so that Python's objects are guarded, too
        "PYTHONPATH": str(package),
        "SANSOCKET_TEST_FORMS": "compiled",
        "SANSOCKET_TEST_EXHAUSTIVE": "1",
    }
    output = session.run(
        "python", "-c", UNSAFE, env=env, silent=True, success_codes=[0, 1]
    )
    if "heap-buffer-overflow" not in str(output):
        session.error(f"the sanitizers see nothing: {output}")
    return env


def library_of(session: nox.Session) -> Callable[[str], str]:
    """How to find the library of a sanitizer."""
    compiler = os.environ.get("CC", "cc")

    def find(name: str) -> str:
        option = f"-print-file-name=lib{name}.so"
        return str(session.run(compiler, option, external=True, silent=True)).strip()

    return find


@nox.session
def fuzz(session: nox.Session) -> None:
    """Search for inputs that break a promise; arguments go to ``python -m fuzz``."""
    session.install("-e", ".[dev]", "atheris>=3,<4", env={"SANSOCKET_BUILD": "require"})
    session.run("python", "-m", "fuzz", *session.posargs)


@nox.session
def torture(session: nox.Session) -> None:
    """Feed a million random and mutated inputs to both forms: about six minutes."""
    session.install("-e", ".[dev]", env={"SANSOCKET_BUILD": "require"})
    session.run(
        *("python", "-m", "tests.torture", *session.posargs),
        env={"SANSOCKET_TEST_FORMS": "pure,compiled"},
    )


@nox.session
def soak(session: nox.Session) -> None:
    """Let clients come, misbehave and go, on both loops; check what is left."""
    session.install("-e", ".[dev]", env={"SANSOCKET_BUILD": "require"})
    for loop in "asyncio", "uvloop":
        session.run("python", "-m", "tests.soak", "--loop", loop, *session.posargs)


@nox.session
def simulation(session: nox.Session) -> None:
    """Run 10,000 programs on both ends of connections, in virtual time: a minute."""
    session.install("-e", ".[dev]", env={"SANSOCKET_BUILD": "require"})
    arguments = session.posargs or ["--programs", "10000"]
    session.run("python", "-m", "tests.simulation", *arguments)


@nox.session
def conformance(session: nox.Session) -> None:
    """Run the Autobahn test suite against server, client and uvicorn.

    Arguments select a part.
    """
    session.install(".[uvicorn]", env={"SANSOCKET_BUILD": "require"})
    for side in [session.posargs] if session.posargs else SIDES:
        session.run("python", "-m", "tests.conformance", *side)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the source in 2,400 ways; list those that no test notices: 20 minutes."""
    session.install(*DEV, "mutmut>=3.8,<4")
    copy = Path(session.create_tmp(), "copy")  # without what was compiled in place
    for name in ("src", "tests", "docs", "README.md", "pyproject.toml"):
        target = copy / name
        if not Path(name).is_dir():
            shutil.copy(name, target)
            continue
        shutil.copytree(
            *(name, target),
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"),
        )
    session.chdir(copy)
    env = {"SANSOCKET_TEST_FORMS": "pure"}
    session.run("mutmut", "run", "--max-children", "1", *session.posargs, env=env)
    session.run("mutmut", "results")


@nox.session
def bench(session: nox.Session) -> None:
    """Time the core and its rivals; arguments go to the benchmark."""
    session.install("-r", "benchmarks/requirements.txt")
    session.install(".", env={"SANSOCKET_BUILD": "require"})
    session.run("python", "-m", "benchmarks.micro", *(session.posargs or ["--quick"]))


@nox.session
def build(session: nox.Session) -> None:
    """Build the sdist and wheels of both forms from it; install and try each."""
    session.install(*tools("build", "websockets"))
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", env={"SANSOCKET_BUILD": "require"})
    (sdist,) = Path("dist").glob("*.tar.gz")
    (wheel,) = Path("dist").glob("*.whl")
    check_wheel(session, wheel, ".so", compiled=True)
    install_and_try(session, wheel, "compiled")

    pure = Path(session.create_tmp(), "pure")
    session.run(
        *("pip", "wheel", "--no-deps", "--wheel-dir", str(pure), str(sdist)),
        env={"SANSOCKET_BUILD": "pure"},
    )
    (wheel,) = pure.glob("*-py3-none-any.whl")
    check_wheel(session, wheel, ".so", compiled=False)
    shutil.copy(wheel, "dist")
    install_and_try(session, wheel, "interpreted")

    # A machine without a compiler gets the same package.
    install_and_try(session, sdist, "interpreted", CC=shutil.which("false") or "false")


def check_wheel(
    session: nox.Session, wheel: Path, suffix: str, *, compiled: bool
) -> None:
    """Check that a wheel is complete, and free of files that only a build needs."""
    names = zipfile.ZipFile(wheel).namelist()
    missing = {"sansocket/cli/page.html", "sansocket/py.typed"}.difference(names)
    surplus = [name for name in names if name.endswith((".c", ".pyx"))]
    extensions = [name for name in names if name.endswith((suffix, ".pyd"))]
    if missing or surplus or bool(extensions) != compiled:
        session.error(f"{wheel}: {missing=} {surplus=} {extensions=}")


def install_and_try(session: nox.Session, package: Path, form: str, **env: str) -> None:
    """Install a wheel or an sdist, and connect to its server with a real client."""
    session.install("--no-deps", "--force-reinstall", str(package), env=env)
    version = session.run("sansocket", "--version", silent=True)
    if f"({form})" not in str(version):
        session.error(f"{package} gives {version}, not the {form} form")
    session.run("python", "-m", "tests.smoke", "sansocket", "serve", "--port", "0")


@nox.session
def wrong_calls(session: nox.Session) -> None:
    """Call everything wrongly for a minute.

    Arguments go to ``python -m tests.wrong_calls``. ``sanitize`` does this as well.
    """
    session.install("-e", ".[dev]", env={"SANSOCKET_BUILD": "require"})
    session.run("python", "-m", "tests.wrong_calls", *session.posargs)
