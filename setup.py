"""Compiles the hot modules; all else is in pyproject.toml.

SANSOCKET_BUILD chooses: ``auto`` (the default) compiles where a C compiler and
zlib's headers are present and otherwise installs the same source, saying so;
``pure`` never compiles; ``require`` fails where compiling fails.
"""

import contextlib
import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Each has a .pxd of the same name beside it, or is a .pyx with a twin in Python.
COMPILED = [
    "_http.handshake",
    "_http.heads",
    "_http.responses",
    "_liveness",
    "_native.kernels",
    "_native.zstream",
    "_wire.reader",
    "_wire.writer",
    "asyncio._broadcast",
    "asyncio._link",
    "asyncio._waiter",
    "asyncio.connection",
    "datastructures",
    "extensions.base",
    "extensions.permessage_deflate",
    "frames",
    "http11",
    "protocol",
    "server",
    "session",
]
DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "nonecheck": True,
    "auto_pickle": False,
    "embedsignature": True,
    "embedsignature.format": "clinic",
}
# As functions of Cython, coroutine functions are known as such, so that mocks can be
# awaited. They do not check the type of ``self``, so each calls ``guard()``.
BOUND = {"sansocket.asyncio.connection"}
# Objects that hold each other in a row, however many, are freed one after the other and
# not by as many calls inside of each other. Frames are not: it costs each a tenth.
PLAIN = {"sansocket.frames"}
# What runs for each message: there -O3 saves up to a tenth of the work. -O1, in all
# others, takes the compiler half as long.
HOT = {
    "_native.kernels",
    "_wire.reader",
    "_wire.writer",
    "asyncio._link",
    "asyncio._waiter",
    "asyncio.connection",
    "protocol",
    "session",
}
# Debug information would be most of the size, and a quarter of the time to build.
FLAGS = ["-g0", "-include", "located.h"]
LINK_FLAGS = ["-Wl,--strip-all"] if sys.platform == "linux" else []


def flags(name):
    if sys.platform == "win32":
        return ["/FIlocated.h"]
    level = ["-O3", "-funroll-loops"] if name in HOT else ["-O1"]
    return [*level, *FLAGS]


class OptionalBuild(build_ext):
    """Goes on without the compiled form if that cannot be built."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self):
        try:
            super().run()
        except Exception as exc:
            if choice == "require":
                raise
            # Some compiled modules without the others could not be imported.
            for path in self.get_outputs():
                with contextlib.suppress(FileNotFoundError):
                    os.remove(path)
            self.extensions = []
            report(exc)


def report(exc):
    print(f"sansocket: not compiled, works from source: {exc}", file=sys.stderr)


def extensions():
    from Cython.Build import cythonize
    from Cython.Compiler import Options

    Options.warning_errors = choice == "require"
    names = [(name, f"src/sansocket/{name.replace('.', '/')}") for name in COMPILED]
    modules = [
        Extension(
            f"sansocket.{name}",
            [path + (".pyx" if os.path.exists(path + ".pyx") else ".py")],
            include_dirs=["src/sansocket/_native"],
            libraries=["z"] if name == "_native.zstream" else [],
            define_macros=[("ZLIB_CONST", None)],
            extra_compile_args=flags(name),
            extra_link_args=LINK_FLAGS,
            depends=["src/sansocket/_native/located.h"],
        )
        for name, path in names
    ]
    force = declarations_changed("build/cython")
    made = []
    for module in modules:
        # Accepted only as a default.
        Options.get_directive_defaults()["trashcan"] = module.name not in PLAIN
        made += cythonize(
            [module],
            build_dir="build/cython",
            compiler_directives={**DIRECTIVES, "binding": module.name in BOUND},
            force=force,
        )
    return made


def declarations_changed(build_dir):
    """Whether a .pxd or .h is newer than C code: all modules share their layouts."""
    made = [path.stat().st_mtime for path in Path(build_dir).rglob("*.c")]
    declared = [*Path("src").rglob("*.pxd"), *Path("src").rglob("*.h")]
    return any(path.stat().st_mtime > min(made, default=0) for path in declared)


choice = os.environ.get("SANSOCKET_BUILD", "auto")
if choice not in ("auto", "pure", "require"):
    raise SystemExit(f"SANSOCKET_BUILD is {choice!r}, not auto, pure or require")
if choice == "auto" and sys.implementation.name != "cpython":
    choice = "pure"  # elsewhere extension modules are the slow form

try:
    ext_modules = [] if choice == "pure" else extensions()
except Exception as exc:  # a version of Cython that finds something new to refuse
    if choice == "require":
        raise
    report(exc)
    ext_modules = []

setup(ext_modules=ext_modules, cmdclass={"build_ext": OptionalBuild})
