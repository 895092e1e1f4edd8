"""fcached.sway without dlm-sway, which this Python does not have."""

from __future__ import annotations

import subprocess
import sys


def test_command_without_sway_names_package() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fcached.sway", "run", "spec.yaml"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "fcached.sway: dlm-sway needs the module dlm_sway, which is not installed: "
        "pip install 'dlm-sway[hf]'\n"
    )


def test_install_without_sway_leaves_no_module() -> None:
    script = (
        "import sys, fcached.sway\n"
        "for _ in range(2):\n"
        "    try:\n        fcached.sway.install()\n"
        "    except ImportError as error:\n        print(error.name)\n"
        "print([name for name in sys.modules if name.startswith('dlm_sway')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "dlm_sway\ndlm_sway\n[]\n"
