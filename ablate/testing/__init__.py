"""Contract tests that plugin and executor writers inherit.

`class TestNoise(AugmentationContract): component = "noise"` is a test for each promise of an augmentation. Those of
executors are in `ablate.testing.executor`. `example_report()` is a report to call figures with.
"""

from .contracts import (
    AugmentationContract,
    DatasetContract,
    FigureContract,
    LossContract,
    MetricContract,
    ModelContract,
    OptimizerContract,
    SchedulerContract,
    TaskContract,
)
from .example import example_report

__all__ = [
    "AugmentationContract",
    "DatasetContract",
    "FigureContract",
    "LossContract",
    "MetricContract",
    "ModelContract",
    "OptimizerContract",
    "SchedulerContract",
    "TaskContract",
    "example_report",
]
