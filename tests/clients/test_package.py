"""The package as others get it: its sdist, its wheel, its types, the time that its import takes."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMPORT_MS = 50.0


def run(*command: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def output(*command: str, cwd: Path, **environment: str) -> str:
    """The output of a command that must succeed."""
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout
    return done.stdout


def wheel_command(target: Path) -> list[str]:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-v"]
    return [*pip, "--no-deps", "--no-build-isolation", "-w", str(target), "."]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, made from a copy of the checkout, and unpacked far from any."""
    checkout = tmp_path_factory.mktemp("checkout")
    for part in ("client", "proto"):
        ignored = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT / part, checkout / part, ignore=ignored)
    shutil.copy(ROOT / "LICENSE", checkout)
    hook = "import sys, setuptools.build_meta as b; b.build_sdist(sys.argv[1])"
    made = tmp_path_factory.mktemp("sdist")
    output(sys.executable, "-c", hook, str(made), cwd=checkout / "client" / "python")
    shutil.rmtree(checkout)
    (archive,) = made.iterdir()
    with tarfile.open(archive) as tar:
        assert not [member.name for member in tar if member.issym() or member.islnk()]
        tar.extractall(made)
    (directory,) = [path for path in made.iterdir() if path.is_dir()]
    return directory


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the sdist alone gives."""
    target = tmp_path_factory.mktemp("wheel")
    output(*wheel_command(target), cwd=unpacked)
    (path,) = target.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def extension(wheel: Path) -> Path:
    """The extension of the wheel, unpacked."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".so")]
        return Path(archive.extract(name, wheel.parent))


def test_wheel_contains_package_types_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    in_checkout = {
        f"fcached/{path.relative_to(ROOT / 'client/python/fcached')}"
        for pattern in ("*.py", "*.pyi", "py.typed")
        for path in (ROOT / "client/python/fcached").rglob(pattern)
    }
    assert in_checkout and in_checkout <= names
    assert [name for name in names if name.endswith("LICENSE")]
    rest = {name for name in names - in_checkout if ".dist-info/" not in name}
    assert [name.split(".")[0] for name in rest] == ["fcached/_core"]


def test_sdist_contains_licence(unpacked: Path) -> None:
    assert (unpacked / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_extension_exports_only_init(extension: Path) -> None:
    exported = output("nm", "-D", "--defined-only", str(extension), cwd=extension.parent)
    assert [line.split()[-1] for line in exported.splitlines()] == ["PyInit__core"]


def test_extension_needs_only_libc(extension: Path) -> None:
    dynamic = output("readelf", "-d", str(extension), cwd=extension.parent, LC_ALL="C")
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    assert needed <= {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2"}
    assert not re.search(r"\((RPATH|RUNPATH)\)", dynamic)


def test_extension_contains_no_local_path(extension: Path, unpacked: Path) -> None:
    content = extension.read_bytes()
    for directory in (str(unpacked.parent), str(ROOT), sys.prefix, sys.base_prefix + "/include"):
        assert directory.encode() not in content, directory


def test_extension_built_twice_identical(extension: Path, unpacked: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(unpacked, elsewhere, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    output(*wheel_command(tmp_path), cwd=elsewhere)
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".so")]
        assert archive.read(name) == extension.read_bytes()


def test_build_without_headers_names_packages(unpacked: Path, tmp_path: Path) -> None:
    failed = run(*wheel_command(tmp_path), cwd=unpacked, CC="cc -nostdinc")
    assert failed.returncode != 0
    assert "apt-get install libxxhash-dev" in failed.stdout


def test_build_with_implicit_declaration_fails(unpacked: Path, tmp_path: Path) -> None:
    """Otherwise the import would fail for a function that Python's headers lack."""
    tree = tmp_path / "tree"
    shutil.copytree(unpacked, tree)
    with (tree / "src" / "path.c").open("a") as source:
        source.write("int not_declared_caller(void);\n")
        source.write("int not_declared_caller(void) { return not_declared(); }\n")
    lenient = "-Wno-error -Wno-implicit-function-declaration"
    failed = run(*wheel_command(tmp_path), cwd=tree, CFLAGS=lenient)
    assert failed.returncode != 0
    assert re.search("error: implicit declaration of function .not_declared", failed.stdout)


def test_build_leaves_sources_unchanged(unpacked: Path, tmp_path: Path) -> None:
    """The sources may be read-only, and files of an earlier build would get into the wheel."""
    tree = tmp_path / "tree"
    shutil.copytree(unpacked, tree)
    before = {path: path.stat().st_mtime_ns for path in tree.rglob("*")}
    output(*wheel_command(tmp_path), cwd=tree)
    assert {path: path.stat().st_mtime_ns for path in tree.rglob("*")} == before


USER = """
from __future__ import annotations

import fcached

def expensive() -> float:
    return 1.5

with fcached.Client("mypy") as cache:
    one: float = cache.cached("op", "base", "a prompt", 0, expensive)
    many: list[float] = cache.cached_batch(
        "op", "base", ["a", "b"], 0, lambda misses: [expensive() for _ in misses]
    )
    found = cache.get("op", "base", b"bytes too", 5)
    if found is fcached.MISS:
        stored: bool = cache.put("op", "base", b"bytes too", 5, found)
    removed: int = cache.clear()
raw: bytes = fcached.encode({"a": 1})
"""


def mypy(text: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    """Runs mypy --strict on a user's file, with the installed package and without the checkout."""
    (directory / "user.py").write_text(text)
    return run(
        *(sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(directory / "cache")),
        "user.py",
        cwd=directory,
        MYPYPATH="",
    )


def test_user_file_passes_strict_mypy(tmp_path: Path) -> None:
    checked = mypy(USER, tmp_path)
    assert checked.returncode == 0, checked.stdout


def test_wrong_use_fails_mypy(tmp_path: Path) -> None:
    checked = mypy(USER.replace("one: float", "one: str"), tmp_path)
    assert checked.returncode == 1
    assert "error" in checked.stdout


def import_ms() -> float:
    command = [sys.executable, "-X", "importtime", "-c", "import fcached"]
    lines = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True).stderr
    (total_us,) = re.findall(r"^import time: +\d+ \| +(\d+) \| fcached$", lines, re.MULTILINE)
    return int(total_us) / 1000


def test_import_is_quick() -> None:
    times = [import_ms() for _ in range(9)]
    print(f"import fcached: median {statistics.median(times):.1f} ms, least {min(times):.1f} ms")
    assert min(times) < IMPORT_MS  # a busy machine makes others longer


def test_import_loads_neither_numpy_nor_torch(tmp_path: Path) -> None:
    code = "import sys, fcached; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    assert output(sys.executable, "-c", code, cwd=tmp_path) == "[]\n"
