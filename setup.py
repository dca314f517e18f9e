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
FLAGS_OF_USER = {"CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "LDSHARED"}
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
        if self.editable_mode:
            # Not in a temporary folder: the next time compiles what has changed.
            self.build_lib = self.build_temp = "build/editable"
            self.force = self.force or not FLAGS_OF_USER.isdisjoint(os.environ)

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
    from Cython.Compiler import Options

    Options.warning_errors = choice == "require"
    return [
        extension(name, f"src/sansocket/{name.replace('.', '/')}") for name in COMPILED
    ]


def extension(name, path):
    """One module, its source translated to C unless it has been."""
    source = path + (".pyx" if os.path.exists(path + ".pyx") else ".py")
    module = Extension(
        f"sansocket.{name}",
        [source],
        include_dirs=["src/sansocket/_native"],
        libraries=["z"] if name == "_native.zstream" else [],
        define_macros=[("ZLIB_CONST", None)],
        extra_compile_args=flags(name),
        extra_link_args=LINK_FLAGS,
        depends=["src/sansocket/_native/located.h", "setup.py"],
    )
    code = Path(f"build/cython/{path}.c")
    if not is_current(code, source):
        translate(module)
    module.sources = [str(code)]
    return module


def is_current(code, source):
    """Whether C code was made of this source as it is, by this Cython.

    All modules share the layouts in their .pxd files. Cython itself would also look at
    its own files, which are new each time that pip builds apart from everything.
    """
    from Cython import __version__ as version

    if not code.exists():
        return False
    shared = [path for end in ("pxd", "h") for path in Path("src").rglob(f"*.{end}")]
    used = [Path(source), Path("setup.py"), *shared]
    if any(path.stat().st_mtime > code.stat().st_mtime for path in used):
        return False
    with code.open() as lines:
        return f"Cython {version} " in next(lines)


def translate(module):
    from Cython.Build import cythonize
    from Cython.Compiler import Options

    # Accepted only as a default.
    Options.get_directive_defaults()["trashcan"] = module.name not in PLAIN
    cythonize(
        [module],
        build_dir="build/cython",
        compiler_directives={**DIRECTIVES, "binding": module.name in BOUND},
        force=True,
    )


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
