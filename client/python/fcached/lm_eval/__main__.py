"""``python -m fcached.lm_eval``: the command ``lm-eval`` with shared answers."""

from .command import main

main()
