"""``python -m fcached.sway ...``: the command ``sway``."""

from __future__ import annotations

import importlib
import sys


def main() -> int:
    """Runs the command. Returns sway's exit status, or 1 if dlm-sway is not installed."""
    try:
        app = importlib.import_module("dlm_sway.cli.app").app
    except ModuleNotFoundError as error:
        print(
            f"fcached.sway: dlm-sway needs the module {error.name}, which is not installed: "
            "pip install 'dlm-sway[hf]'",
            file=sys.stderr,
        )
        return 1
    from fcached.sway import install

    install()
    app(prog_name="python -m fcached.sway")
    return 0


if __name__ == "__main__":
    sys.exit(main())
