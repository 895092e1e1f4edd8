"""The manifest goes with the client to the daemon, which keeps it with the namespace."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import TIMEOUT_S, Daemon, wait_until

import fcached


def listed(daemon: Daemon) -> list[dict[str, Any]]:
    """The output of `fcachectl namespaces --json`."""
    command = [os.environ["FCACHECTL"], "--socket", daemon.socket, "namespaces", "--json"]
    answer = subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found


def test_namespace_manifest_stored(daemon: Daemon, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "config.json").write_text('{"model_type": "tiny"}')
    (directory / "model.safetensors").write_bytes(b"weights")
    namespace = fcached.namespace_for(directory, dtype="float32", device="cpu")
    with fcached.Client(namespace, socket=daemon.socket, deadline=5.0) as client:
        client.put("logprob_of", "base", "prompt", 0, -1.5)
        (entry,) = listed(daemon)
    assert entry["namespace"] == namespace
    assert entry["manifest"] == json.loads(namespace.manifest)
    assert entry["manifest"]["dtype"] == "float32"
    assert entry["entries"] == 1


def test_manifest_sent_again_after_restart(daemon: Daemon) -> None:
    with fcached.Client("n", socket=daemon.socket, deadline=5.0, manifest='{"a": 1}') as client:
        daemon.stop()
        daemon.start()
        wait_until(lambda: client.put("op", "base", "prompt", 0, 1), "the client is back")
        assert [entry["manifest"] for entry in listed(daemon)] == [{"a": 1}]


@pytest.mark.parametrize("manifest", ["", "x" * 16385, "a\0b"])
def test_manifest_invalid_refused(daemon: Daemon, manifest: str) -> None:
    with pytest.raises(fcached.ArgumentError, match="manifest"):
        fcached.Client("n", socket=daemon.socket, manifest=manifest)


def test_manifest_not_text_refused(daemon: Daemon) -> None:
    with pytest.raises(TypeError):
        fcached.Client("n", socket=daemon.socket, manifest=7)  # type: ignore[arg-type]
