"""Builds fcached._core from its own sources and those of the C library beside it."""

import glob
import os

import numpy
from setuptools import Extension, setup

HERE = os.path.dirname(os.path.abspath(__file__))
# In a checkout the library's sources stand two folders up; an sdist carries them in library/.
ROOT = os.path.join(HERE, "library")
if not os.path.isdir(ROOT):
    ROOT = os.path.join(HERE, "..", "..")


def sources() -> "list[str]":
    """All C files of the extension, relative to this folder, as setuptools wants them."""
    found = glob.glob(os.path.join(HERE, "src", "*.c"))
    for part in ("client", "proto"):
        found += glob.glob(os.path.join(ROOT, part, "*.c"))
    return sorted(os.path.relpath(path, HERE) for path in found)


setup(
    ext_modules=[
        Extension(
            "fcached._core",
            sources(),
            include_dirs=[os.path.join(HERE, "src"), ROOT, os.path.join(ROOT, "client"), numpy.get_include()],
            define_macros=[("_GNU_SOURCE", None), ("FC_VERSION", '"0.1.0"'), ("XXH_INLINE_ALL", None)],
            extra_compile_args=["-std=c11", "-fvisibility=hidden"],
        )
    ]
)
