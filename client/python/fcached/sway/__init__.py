"""Shares the forward passes of dlm-sway, a differential test of fine-tuned models.

    python -m fcached.sway run spec.yaml --json result.json

runs ``sway run spec.yaml --json result.json``, and likewise every other command, without changing
dlm-sway's sources. From Python, for scripts and pytest plugins::

    import fcached.sway
    fcached.sway.install()      # before dlm-sway's backends are imported
    from dlm_sway.suite.runner import run

Each backend that ``dlm_sway.backends.build`` creates then shares through the daemon, in its own
namespaces (:mod:`fcached.sway.dependencies`). Workers that test different adapters of one base
share the passes of their ``base`` view.
"""

from __future__ import annotations

from fcached.sway.install import install

__all__ = ["install"]
