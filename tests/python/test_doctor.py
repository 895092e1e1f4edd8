"""``python -m fcached doctor``: the findings, and the exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from client_help import open_client
from conftest import Daemon


def run(*arguments: str, **variables: str) -> tuple[int, list[dict[str, str]]]:
    environment = {**os.environ, **variables}
    done = subprocess.run(
        [sys.executable, "-m", "fcached", "doctor", "--json", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1, 3), done.stderr
    return done.returncode, json.loads(done.stdout)


def test_doctor_of_a_good_worker_is_all_well(daemon: Daemon) -> None:
    with open_client(daemon):
        status, findings = run("--socket", daemon.socket)
    assert status == 0 and all(each["level"] == "ok" for each in findings), findings
    assert run("--socket", daemon.socket, "--quiet") == (0, [])


def test_doctor_finds_a_disabled_worker(daemon: Daemon) -> None:
    status, findings = run("--quiet", FCACHE_SOCKET=daemon.socket, FCACHE_DISABLE="1")
    assert status == 1
    assert [each["check"] for each in findings] == ["environment"]
    assert "FCACHE_DISABLE" in findings[0]["advice"]


def test_doctor_without_a_daemon_has_status_3(tmp_path: Path) -> None:
    status, findings = run("--quiet", "--socket", str(tmp_path / "none"))
    assert status == 3
    assert [(each["level"], each["check"]) for each in findings] == [("problem", "socket")]


def test_doctor_prints_text(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    from fcached.__main__ import main

    assert main(["doctor", "--socket", daemon.socket]) == 0
    assert "ok       socket: fcached" in capsys.readouterr().out
