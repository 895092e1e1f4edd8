"""``python -m fcached.sway ...``: the command ``sway``."""

from __future__ import annotations

import importlib
import sys


def main() -> int:
    """The command's exit status: sway's own, or 1 where there is no sway."""
    try:
        app = importlib.import_module("dlm_sway.cli.app").app
    except ModuleNotFoundError as error:
        print(
            f"fcached.sway: the module {error.name} is not installed; this command runs dlm-sway: "
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
