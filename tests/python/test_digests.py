"""fcached.digests: the stored digests of files, and the conditions under which they are ignored."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import wait_until
from fcached import _core, digests
from fcached.digests import Digests


class Reader:
    """Digests files as the package does, and counts."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: str) -> str:
        self.read.append(path)
        return _core.file_digest(path)


def settle(*paths: Path) -> None:
    """Waits until the files are old enough to be remembered."""
    last = max(path.stat().st_ctime_ns for path in paths)
    wait_until(lambda: time.time_ns() - last > digests._SETTLED_NS, "the files have settled")


@pytest.fixture
def memory(tmp_path: Path) -> str:
    return str(tmp_path / "cache" / "fcached" / "digests")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files settle in 50 ms, which is longer than the resolution of file times."""
    monkeypatch.setattr(digests, "_SETTLED_NS", 50_000_000)
    yield


def digest_of(path: Path, memory: str, reader: Reader) -> str:
    with Digests(memory) as known:
        return known.of(str(path), "bytes", reader)


def test_file_unchanged_read_once(tmp_path: Path, memory: str) -> None:
    file, reader = tmp_path / "weights", Reader()
    file.write_bytes(b"w" * 100_000)
    settle(file)
    first = digest_of(file, memory, reader)
    assert digest_of(file, memory, reader) == first == _core.file_digest(str(file))
    assert len(reader.read) == 1


def test_file_just_changed_not_stored(tmp_path: Path, memory: str) -> None:
    file, reader = tmp_path / "weights", Reader()
    file.write_bytes(b"old")
    os.utime(file, (1, 1))  # an old mtime alone does not make it settled
    digests._SETTLED_NS = 3_600_000_000_000
    digest_of(file, memory, reader)
    digest_of(file, memory, reader)
    assert len(reader.read) == 2
    assert not os.path.exists(memory)


def test_file_rewritten_with_same_mtime_read_again(tmp_path: Path, memory: str) -> None:
    file, reader = tmp_path / "weights", Reader()
    file.write_bytes(b"old")
    settle(file)
    before, status = digest_of(file, memory, reader), file.stat()
    with open(file, "r+b") as writer:
        writer.write(b"new")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_ino == status.st_ino and file.stat().st_mtime_ns == status.st_mtime_ns
    settle(file)
    assert digest_of(file, memory, reader) == _core.file_digest(str(file)) != before


def test_file_written_during_read_not_stored(tmp_path: Path, memory: str) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"old")
    settle(file)

    def torn(path: str) -> str:
        digest = _core.file_digest(path)
        file.write_bytes(b"newer")
        return digest

    with Digests(memory) as known:
        known.of(str(file), "bytes", torn)
    settle(file)
    assert digest_of(file, memory, Reader()) == _core.file_digest(str(file))


def test_digest_kinds_of_one_file_kept_apart(tmp_path: Path, memory: str) -> None:
    file, reader = tmp_path / "config.json", Reader()
    file.write_bytes(b"{}")
    settle(file)
    for _ in range(2):
        with Digests(memory) as known:
            assert known.of(str(file), "config", lambda path: "c" * 32) == "c" * 32
            assert known.of(str(file), "bytes", reader) == _core.file_digest(str(file))
    assert len(reader.read) == 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "deep", "long", "list"])
def test_store_damaged_ignored_and_replaced(tmp_path: Path, memory: str, damage: str) -> None:
    file, reader = tmp_path / "weights", Reader()
    file.write_bytes(b"w")
    settle(file)
    digest = digest_of(file, memory, reader)
    whole = Path(memory).read_bytes()

    def signed(body: bytes) -> bytes:
        return b"fcached digests 1 " + _core.prompt_hash(body).encode() + b"\n" + body

    Path(memory).write_bytes(
        {
            "cut": whole[:-5],
            "flipped": whole.replace(digest.encode(), b"0" * 32),
            "empty": b"",
            "text": b"\xff\x00" * 1000,
            "deep": signed(b"[" * 100_000),
            "long": signed(b"{" + b" " * (3 << 20) + b"}"),
            "list": signed(b"[1]"),
        }[damage]
    )
    assert digest_of(file, memory, reader) == digest
    assert len(reader.read) == 2
    assert digest_of(file, memory, reader) == digest
    assert len(reader.read) == 2


@pytest.mark.parametrize("entry", ['"x"', "[]", "[1,2]", "[1,2,3,4]", "null", '{"a":1}', "SHORT"])
def test_store_entry_malformed_ignored(tmp_path: Path, memory: str, entry: str) -> None:
    file, reader = tmp_path / "weights", Reader()
    file.write_bytes(b"w")
    settle(file)
    status = file.stat()
    if entry == "SHORT":
        entry = f'[{status.st_size},{status.st_mtime_ns},{status.st_ctime_ns},"abc"]'
    body = f'{{"{status.st_dev}:{status.st_ino}:bytes":{entry}}}'.encode()
    os.makedirs(os.path.dirname(memory), mode=0o700)
    head = b"fcached digests 1 " + _core.prompt_hash(body).encode() + b"\n"
    Path(memory).write_bytes(head + body)
    os.chmod(memory, 0o600)
    assert digest_of(file, memory, reader) == _core.file_digest(str(file))
    assert len(reader.read) == 1


def test_store_writable_by_others_ignored(tmp_path: Path, memory: str) -> None:
    file, reader = tmp_path / "weights", Reader()
    file.write_bytes(b"w")
    settle(file)
    digest_of(file, memory, reader)
    assert Path(memory).stat().st_mode & 0o777 == 0o600
    os.chmod(memory, 0o622)
    digest_of(file, memory, reader)
    assert len(reader.read) == 2
    assert Path(memory).stat().st_mode & 0o777 == 0o600, "its replacement is ours alone"


@pytest.mark.parametrize(("mapped", "believed"), [("4294967295", True), ("65536", False)])
def test_store_of_overflow_user_ignored(
    tmp_path: Path, memory: str, monkeypatch: pytest.MonkeyPatch, mapped: str, believed: bool
) -> None:
    """In a user namespace that maps a part of the users, the overflow id owns all others' files."""
    (tmp_path / "uid_map").write_text(f"         0     100000 {mapped}\n")
    (tmp_path / "overflowuid").write_text(f"{os.geteuid()}\n")
    monkeypatch.setattr(digests, "_UID_MAP", str(tmp_path / "uid_map"), raising=False)
    monkeypatch.setattr(digests, "_OVERFLOW_UID", str(tmp_path / "overflowuid"), raising=False)
    file, reader = tmp_path / "weights", Reader()
    file.write_bytes(b"w")
    settle(file)
    for _ in range(2):
        assert digest_of(file, memory, reader) == _core.file_digest(str(file))
    assert len(reader.read) == (1 if believed else 2)


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_store_not_a_file_ignored(tmp_path: Path, memory: str, kind: str) -> None:
    file, reader = tmp_path / "weights", Reader()
    file.write_bytes(b"w")
    settle(file)
    os.makedirs(os.path.dirname(memory), mode=0o700)
    if kind == "link":
        (tmp_path / "target").write_bytes(b"mine")
        os.symlink(tmp_path / "target", memory)
    elif kind == "fifo":
        os.mkfifo(memory)
    else:
        os.mkdir(memory)
    assert digest_of(file, memory, reader) == _core.file_digest(str(file))
    if kind == "link":
        assert (tmp_path / "target").read_bytes() == b"mine"
    assert [name for name in os.listdir(os.path.dirname(memory)) if name != "digests"] == []


def test_store_unwritable_files_read_again(tmp_path: Path) -> None:
    file, reader = tmp_path / "weights", Reader()
    file.write_bytes(b"w")
    settle(file)
    (tmp_path / "taken").write_bytes(b"")  # a file in place of the directory, which also stops root
    for _ in range(2):
        memory = str(tmp_path / "taken" / "fcached" / "digests")
        assert digest_of(file, memory, reader) == _core.file_digest(str(file))
    assert len(reader.read) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_home_read_only_digests_correct(tmp_path: Path) -> None:
    file, reader = tmp_path / "weights", Reader()
    file.write_bytes(b"w")
    settle(file)
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    assert digest_of(file, str(home / "fcached" / "digests"), reader)
    assert os.listdir(home) == []


def test_store_full_drops_oldest_entries(
    tmp_path: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_MAX_ENTRIES", 8)
    files = [tmp_path / str(number) for number in range(20)]
    for file in files:
        file.write_bytes(file.name.encode())
    settle(*files)
    with Digests(memory) as known:
        for file in files:
            known.of(str(file))
    reader = Reader()
    with Digests(memory) as known:
        for file in reversed(files):
            known.of(str(file), "bytes", reader)
    assert reader.read == [str(file) for file in reversed(files[:12])], "the newest 8 stayed"


def _work(arguments: tuple[str, list[str]]) -> dict[str, str]:
    memory, files = arguments
    digests._SETTLED_NS = 0
    results = {}
    for file in files:
        with Digests(memory) as known:
            results[file] = known.of(file)
    return results


def test_store_written_by_many_processes_stays_valid(tmp_path: Path, memory: str) -> None:
    files = [tmp_path / str(number) for number in range(40)]
    for file in files:
        file.write_bytes(file.name.encode() * 1000)
    settle(*files)
    names = [str(file) for file in files]
    parts = [(memory, names[start:] + names[:start]) for start in (0, 10, 20, 30)]
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        for results in pool.map(_work, parts):
            assert results == {name: _core.file_digest(name) for name in names}
    assert digests._load(memory), "what the last one left is whole"
    assert os.listdir(os.path.dirname(memory)) == ["digests"]


def test_store_path_follows_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"w")
    settle(file)
    for variable, value, place in (
        ("XDG_CACHE_HOME", str(tmp_path / "xdg"), tmp_path / "xdg" / "fcached"),
        ("XDG_CACHE_HOME", "relative", tmp_path / "home" / ".cache" / "fcached"),
    ):
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv(variable, value)
        with Digests() as known:
            known.of(str(file))
        assert os.listdir(place) == ["digests"]
        assert place.stat().st_mode & 0o777 == 0o700


def test_file_huge_read_in_bounded_memory(tmp_path: Path, memory: str) -> None:
    resource = pytest.importorskip("resource")
    file = tmp_path / "weights"
    with open(file, "wb") as writer:
        writer.truncate(1 << 30)  # a hole: no disk is used
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Digests(memory) as known:
        known.of(str(file))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10, "KiB"
