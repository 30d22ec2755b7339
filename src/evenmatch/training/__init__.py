"""Models fitted and judged: the demo."""

from evenmatch.training._demo import DemoResult, run_demo

__all__ = ["DemoResult", "run_demo"]
