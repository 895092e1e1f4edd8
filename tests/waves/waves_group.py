"""A memory control group of its own for the daemon, of version 1 or 2."""

import os
import pathlib
import sys

ROOT = pathlib.Path("/sys/fs/cgroup")


def skip(reason: str) -> None:
    print(f"0 passed, 0 failed, 1 skipped\nmemory waves skipped: {reason}")
    sys.exit(0)


class Group:
    def __init__(self) -> None:
        if os.geteuid() != 0:
            skip("it needs root, to make a control group")
        self.is_v1 = (ROOT / "memory" / "memory.limit_in_bytes").exists()
        parent = ROOT / "memory" if self.is_v1 else ROOT
        self.path = parent / f"fcached-waves-{os.getpid()}"
        try:
            if not self.is_v1 and "memory" not in (ROOT / "cgroup.subtree_control").read_text():
                (ROOT / "cgroup.subtree_control").write_text("+memory")
            self.path.mkdir()
            self.usage()
        except OSError as error:
            self.remove()
            skip(f"no memory control group can be made: {error}")

    def _file(self, v1: str, v2: str) -> pathlib.Path:
        return self.path / (v1 if self.is_v1 else v2)

    def limit(self, size: int) -> None:
        self._file("memory.limit_in_bytes", "memory.max").write_text(str(size))
        swap = self._file("memory.memsw.limit_in_bytes", "memory.swap.max")
        if swap.exists():
            swap.write_text(str(size) if self.is_v1 else "0")

    def usage(self) -> int:
        return int(self._file("memory.usage_in_bytes", "memory.current").read_text())

    def kills(self) -> int:
        text = self._file("memory.oom_control", "memory.events").read_text()
        return sum(int(line.split()[1]) for line in text.splitlines() if "oom_kill " in line)

    def enter(self) -> None:
        """In the child, before it becomes the daemon."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self) -> None:
        if self.path.exists():
            self.path.rmdir()
