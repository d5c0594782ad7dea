"""XOR: four points that no single line separates, and a network just large enough to learn them.

    descentlab retrain examples/xor.py:xor
    descentlab widen examples/xor.py:xor --widths 2,3,4

With two hidden sigmoid units nearly half of all runs end at a loss of 1/8 or 1/6 and never learn XOR; with eight
none does. What they creep along is no local minimum: two such units leave XOR none at finite weights.
"""

import torch
from torch import nn


def build(width: int = 2) -> nn.Module:
    """Make a network with one hidden layer, its weights uniform in (−1, 1)."""
    model = nn.Sequential(nn.Linear(2, width), nn.Sigmoid(), nn.Linear(width, 1), nn.Sigmoid())
    for weights in model.parameters():
        nn.init.uniform_(weights, -1.0, 1.0)
    return model


xor = {
    "build": build,
    "loss": nn.MSELoss(),
    "data": (
        torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
        torch.tensor([[0.0], [1.0], [1.0], [0.0]]),
    ),
    "optimizer": "adam",
    "learning_rate": 0.03,
    "steps": 3000,
    "solved": 0.01,  # below every level at which runs are stuck: 1/8, 1/6, 1/4
}
