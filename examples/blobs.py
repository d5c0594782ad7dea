"""Two Gaussian blobs: "qwerties" and "asdfies", made-up classes that a network tells apart by two measurements.

    descentlab retrain examples/blobs.py:blobs --runs 500
    descentlab widen examples/blobs.py:blobs --widths 1,2,4

The blobs overlap a little, so no network tells all of them apart. Where training begins hardly matters here: the
control to XOR. Two runs in a hundred stay at a loss of log 2 = 0.693, where both ReLUs are dead.
"""

import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(7)
qwerties = rng.normal([-1.0, -0.5], 0.7, (100, 2))
asdfies = rng.normal([1.0, 0.5], 0.7, (100, 2))


def build(width: int = 2) -> nn.Module:
    """Make a network with one hidden layer of ReLUs and one output: the log-odds of an asdfy."""
    return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 1))


blobs = {
    "build": build,
    "loss": nn.BCEWithLogitsLoss(),
    "data": (
        torch.tensor(np.concatenate([qwerties, asdfies]), dtype=torch.float32),
        torch.tensor([[0.0]] * 100 + [[1.0]] * 100),
    ),
    "held_out": 0.25,
    "optimizer": "adam",
    "learning_rate": 0.05,
    "steps": 500,
    "solved": 0.2,
}
