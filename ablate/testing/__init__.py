"""Contract tests that plugin and executor writers inherit.

`class TestNoise(AugmentationContract): component = "noise"` is a test for each promise of an augmentation. Those of
executors are in `ablate.testing.executor`.
"""

from .contracts import (
    AugmentationContract,
    DatasetContract,
    MetricContract,
    ModelContract,
    OptimizerContract,
    SchedulerContract,
)

__all__ = [
    "AugmentationContract",
    "DatasetContract",
    "MetricContract",
    "ModelContract",
    "OptimizerContract",
    "SchedulerContract",
]
