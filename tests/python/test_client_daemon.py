"""fcached.Client: traces, and daemons that are absent, stopped or restarted."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from client_help import (
    connects,
    never,
    open_client,
    run_worker,
    start_worker,
)
from conftest import TIMEOUT_S, Daemon, wait_until

import fcached
from fcached import MISS


def test_set_probe_labels_trace_lines(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    with Daemon(tmp_path, "--trace", str(trace)) as daemon, open_client(daemon) as client:
        client.set_probe("delta_kl")
        client.put("op", "base", "p", 0, 1)
        client.set_probe(None)
        client.get("op", "base", "p")
    lines = trace.read_text().splitlines()
    assert len(lines) == 2
    assert '"probe":"delta_kl"' in lines[0].replace(" ", "")
    assert '"probe":null' in lines[1].replace(" ", "")


def test_trace_of_unicode_names_is_ascii(tmp_path: Path) -> None:
    """Every reader sees one line: U+2028 would end one for str.splitlines."""
    names = ["a\u2028b", "\u2029", "\u00a0x", "caf\u00e9", "\U0001f600", "\uffff", 'q"\\']
    trace = tmp_path / "trace.jsonl"
    with Daemon(tmp_path, "--trace", str(trace)) as daemon:
        for name in names:
            with fcached.Client(name, socket=daemon.socket, client=name, deadline=5.0) as client:
                wait_until(lambda client=client: connects(client), "the client connects")
                client.set_probe(name)
                client.put(name, name, "p", 0, 1)
    lines = trace.read_text(encoding="ascii").splitlines()
    assert len(lines) == len(names)
    for name, line in zip(names, lines):
        text = json.dumps(name)
        for field in ("probe", "view_id", "op", "namespace", "client"):
            assert f'"{field}": {text}' in line


def test_client_without_daemon_computes(tmp_path: Path) -> None:
    run_worker(
        """
        import fcached, sys, threading
        client = fcached.Client("ns", socket=sys.argv[1])
        assert client.cached("op", "base", "p", 0, lambda: 1) == 1
        assert client.cached_batch("op", "base", ["p"], 0, lambda m: [2]) == [2]
        assert client.get("op", "base", "p") is fcached.MISS
        assert client.put("op", "base", "p", 0, 1) is False
        assert not client.connected and client.stats().degraded > 0
        threads = [
            threading.Thread(target=client.get, args=("op", "base", "p")) for _ in range(4)
        ]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        for call in (client.server_stats, client.clear):
            try:
                call()
            except fcached.UnavailableError as error:
                assert isinstance(error, ConnectionError) and error.code == -9
            else:
                raise SystemExit("no daemon, and no error")
        """,
        str(tmp_path / "none.sock"),
    )


def test_client_without_daemon_logs_one_line(tmp_path: Path) -> None:
    script = """
        import fcached, sys, threading
        client = fcached.Client("ns", socket=sys.argv[1])
        def use():
            client.get("op", "base", "p")
        threads = [threading.Thread(target=use) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        """
    worker = start_worker(script, str(tmp_path / "none.sock"))
    _, stderr = worker.communicate(timeout=TIMEOUT_S)
    assert worker.returncode == 0
    assert stderr.count("\n") == 1
    assert stderr.startswith("fcache: sharing is off: no daemon at")


def test_cached_with_stopped_daemon_returns_within_deadline(daemon: Daemon) -> None:
    with open_client(daemon, deadline=0.5) as client:
        client.put("op", "base", "p", 0, 1)
        assert daemon.process is not None
        os.kill(daemon.process.pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            assert client.cached("op", "base", "q", 0, lambda: 2) == 2
            assert client.cached("op", "base", "q", 0, lambda: 3) == 3
            assert client.cached("op", "base", "p", 0, never) == 1  # its entries stay readable
            assert time.monotonic() - started < 5.0
        finally:
            os.kill(daemon.process.pid, signal.SIGCONT)
        wait_until(lambda: connects(client), "it connects again")
        assert client.cached("op", "base", "p", 0, never) == 1


def test_client_reconnects_to_restarted_daemon(daemon: Daemon) -> None:
    with open_client(daemon) as client:
        client.put("op", "base", "p", 0, 1)
        daemon.stop()
        assert client.cached("op", "base", "p", 0, lambda: 2) == 2
        daemon.start()
        wait_until(lambda: connects(client), "it connects again")
        assert client.get("op", "base", "p") is MISS
        assert client.cached("op", "base", "p", 0, lambda: 3) == 3
        assert client.cached("op", "base", "p", 0, never) == 3
        assert client.stats().reconnects >= 1
