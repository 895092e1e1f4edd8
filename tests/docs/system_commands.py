"""system_commands.py OLD NEW: runs the commands of the pages for the service manager and the package manager, each page from
top to bottom. It is run as root in a booted system that nobody else uses, without the packages of fcached. OLD and NEW
are directories with the packages of two versions. Prints what is wrong, and exits with 1 if something is.

The scene of a block (page_commands.py) is one of:

- ``machine``: nothing of fcached is installed. The current directory has the packages that the page names.
- ``service``: the packages are installed as the page on installation says, and the service runs.
- ``user``: likewise, and the commands are those of a user with a session. The service is another one, of this user.

- ``same``, or no scene: that of the block before, after its commands.

A word ``exact`` means that the output must be that of the page, but for
numbers and the lines that it leaves out with ``...``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from page_commands import Block, Command, blocks_of, is_for_the_system, masked

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = re.compile(r"\./(\S*fcached_([\d.]+)-\d+_\w+\.deb)")
USER = "alice"
TIMEOUT_S = 120


def run(command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        **options,  # type: ignore[call-overload]
    )


def must(command: str) -> str:
    done = run(command)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: status {done.returncode}\n{done.stdout}")
    return done.stdout.strip()


class System:
    """The machine, and who runs the commands."""

    def __init__(self, old: Path, new: Path, directory: Path) -> None:
        self.old, self.new, self.directory = old, new, directory
        self.prefix = ""
        must(f"id {USER} || useradd --create-home {USER}")
        settings = (
            'APT::Get::Assume-Yes "yes"; APT::Sandbox::User "root"; APT::Install-Recommends "no";'
        )
        Path("/etc/apt/apt.conf.d/99-pages").write_text(settings + "\n")

    def machine(self, page: Path) -> None:
        must("dpkg --purge fcached python3-fcached libfcache-dev libfcache0")
        versions = sorted({match[2] for match in PACKAGE.finditer(page.read_text())})
        for path, version in PACKAGE.findall(page.read_text()):
            (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
            source = self.old if version == versions[0] else self.new
            must(f"cp {source}/fcached_*.deb {self.directory / path}")
        self.prefix = ""

    def service(self, page: Path) -> None:
        must(f"apt-get install --allow-downgrades {self.old}/*.deb")
        must("systemctl enable --now fcached.socket && systemctl restart fcached.service")
        self.prefix = ""

    def user(self, page: Path) -> None:
        self.service(page)
        uid = must(f"id -u {USER}")
        must(f"systemctl start user@{uid}.service")
        self.prefix = (
            f"cd /home/{USER} && setpriv --reuid={USER} --regid={USER} --init-groups env -u FCACHE_SOCKET "
            f"HOME=/home/{USER} XDG_RUNTIME_DIR=/run/user/{uid} bash -o pipefail -c "
        )

    def run(self, command: str) -> tuple[int, list[str]]:
        if self.prefix:
            command = self.prefix + "'" + command.replace("'", "'\\''") + "'"
        done = run(command, cwd=self.directory, env={**os.environ, "LC_ALL": "C.UTF-8"})
        return done.returncode, done.stdout.splitlines()


def differs(wanted: list[str], printed: list[str]) -> bool:
    if "..." not in wanted:
        return wanted != printed
    rest = iter(printed)
    return not all(line in rest for line in wanted if line != "...")


def mistakes(system: System, block: Block, command: Command, words: list[str]) -> list[str]:
    status, lines = system.run(command.text)
    shown = command.output or []
    at = f"{block.page.relative_to(ROOT)}:{block.line}: {command.text}"
    if status != 0:
        return [f"{at}: status {status}", *lines]
    wanted, printed = ([masked(line, system.directory) for line in side] for side in (shown, lines))
    if "exact" in words and differs(wanted, printed):
        return [f"{at}: wanted", *wanted, "but it printed", *printed]
    return []


def main() -> int:
    bad: list[str] = []
    ran = 0
    with tempfile.TemporaryDirectory() as directory:
        system = System(Path(sys.argv[1]), Path(sys.argv[2]), Path(directory))
        for page in sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "man").glob("*.scd")]):
            for block in filter(is_for_the_system, blocks_of(page)):
                name, *words = (block.scene or "").split() or [""]
                if name not in ("", "same"):
                    SCENES[name](system, page)
                for command in block.commands:
                    bad += mistakes(system, block, command, words)
                    ran += 1
    print(*bad, f"{ran} commands", sep="\n")
    return int(bool(bad) or ran == 0)


SCENES = {scene.__name__: scene for scene in (System.machine, System.service, System.user)}
if __name__ == "__main__":
    sys.exit(main())
