"""``python -m fcached.lm_eval``: the command ``lm-eval``, its models sharing their answers."""

from .command import main

main()
