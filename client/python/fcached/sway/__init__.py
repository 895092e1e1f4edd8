"""dlm-sway with its forward passes shared: differential testing of fine-tuned models.

    python -m fcached.sway run spec.yaml --json result.json

is ``sway run spec.yaml --json result.json``, and so for every other command, with dlm-sway's own
sources untouched. From Python, for scripts and pytest plugins::

    import fcached.sway
    fcached.sway.install()      # before dlm-sway's backends are imported
    from dlm_sway.suite.runner import run

Each backend that ``dlm_sway.backends.build`` makes then shares through the daemon, in namespaces
of its own (:mod:`fcached.sway.dependencies`). Workers that test different adapters of one base
share the passes of their ``base`` view.
"""

from __future__ import annotations

from fcached.sway.install import install

__all__ = ["install"]
