"""Builds fcached._core from its own sources and those of the C library, and an sdist with both.

In a checkout the library's sources are two directories up. An sdist has a copy in library/. The
extension contains the library and exports only its init function, so nothing else is needed at run
time.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy
from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.command.egg_info import egg_info
from setuptools.command.sdist import sdist
from setuptools.errors import CompileError

HERE = Path(__file__).resolve().parent
ROOT = HERE / "library" if (HERE / "library").is_dir() else HERE.parent.parent
PARTS = ("client/include", "client/lib", "proto")  # the directories of the library
HEADERS = ("xxhash.h",)
# As COPY_CALLS in the library's Makefile: gcc calls memcpy, which knows the processor, instead of
# copying by REP MOVSQ in place. Other compilers and processors do not know the option.
COPY_CALLS = "-mmemcpy-strategy=libcall:-1:noalign"
NO_HEADERS = """
fcached: cannot compile with xxhash.h. Only the header is needed, not the library.
  Debian, Ubuntu:  apt-get install libxxhash-dev
  elsewhere:       install it, or name its directory in CPPFLAGS=-I...
The compiler's messages are above."""


def stage_library(directory: Path) -> list[str]:
    """Copies the library's sources and headers below ``directory``. Returns the paths of the copied
    sources."""
    sources = []
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*.[ch]")):
            copy = directory / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
            if path.suffix == ".c":
                sources.append(str(copy))
    return sources


class BuildCore(build_ext):
    """Compiles a copy of the library in the build directory together with the extension. Objects of
    ``../../client/x.c`` would be outside of it."""

    def build_extension(self, ext: Extension) -> None:
        self._try_headers()
        library = Path(self.build_temp) / "library"
        shutil.rmtree(library, ignore_errors=True)
        ext.sources = ext.sources + stage_library(library)
        ext.include_dirs = [str(library), str(library / "client" / "include"), *ext.include_dirs]
        ext.define_macros.append(("FC_VERSION", f'"{self.distribution.get_version()}"'))
        if self._accepts(COPY_CALLS):
            ext.extra_compile_args.append(COPY_CALLS)
        self._leave_out_run_path()
        self._compile_side_by_side()
        super().build_extension(ext)

    def _try_headers(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            probe = Path(directory) / "headers.c"
            probe.write_text("".join(f"#include <{header}>\n" for header in HEADERS))
            try:
                self.compiler.compile([str(probe)], output_dir=directory)
            except CompileError as error:
                raise SystemExit(NO_HEADERS) from error

    def _accepts(self, option: str) -> bool:
        command = [*self.compiler.compiler_so, "-Werror", option, "-E", "-x", "c", os.devnull]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _leave_out_run_path(self) -> None:
        """Removes the run path that the configuration of some interpreters adds. The extension
        loads no library."""
        kept = [word for word in self.compiler.linker_so if not word.startswith("-Wl,-rpath")]
        self.compiler.set_executable("linker_so", kept)

    def _compile_side_by_side(self) -> None:
        one_by_one = self.compiler.compile

        def compile_all(sources: list[str], **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: one_by_one([source], **options), sources)
                return [name for names in objects for name in names]

        self.compiler.compile = compile_all


def directory_until_exit(name: str) -> str:
    """Returns a directory of that name outside the sources, which may be read-only or contain files
    of an earlier build. It is removed at exit."""
    parent = tempfile.mkdtemp(prefix="fcached-build-")
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    directory = Path(parent) / name
    directory.mkdir()
    return str(directory)


class BuildElsewhere(build):
    def initialize_options(self) -> None:
        super().initialize_options()
        self.build_base = directory_until_exit("build")


class EggInfoElsewhere(egg_info):
    def finalize_options(self) -> None:
        # An sdist contains the egg-info, and expects it in the sources.
        if self.egg_base is None and "sdist" not in self.distribution.commands:
            self.egg_base = directory_until_exit("egg-info")
        super().finalize_options()


class SdistWithLibrary(sdist):
    """Adds the library's sources in library/."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        stage_library(Path(base_dir) / "library")


# Not the limited API: docs/decisions/0061-extension-without-limited-api.md.
setup(
    license="MIT",
    cmdclass={
        "build": BuildElsewhere,
        "build_ext": BuildCore,
        "egg_info": EggInfoElsewhere,
        "sdist": SdistWithLibrary,
    },
    ext_modules=[
        Extension(
            "fcached._core",
            sorted(str(path.relative_to(HERE)) for path in (HERE / "src").rglob("*.c")),
            include_dirs=["src", numpy.get_include()],
            define_macros=[("_GNU_SOURCE", None), ("XXH_INLINE_ALL", None)],
            # No debug information, which would contain paths of this machine.
            extra_compile_args=[
                *("-std=c11", "-fvisibility=hidden", "-g0"),
                "-Werror=implicit-function-declaration",  # or the import would fail instead of the
                # build
            ],
            extra_link_args=["-Wl,--version-script=src/core.map", "-Wl,-z,relro,-z,now"],
        )
    ],
)
