"""Handwritten digits of 8 × 8 pixels, scikit-learn's, and a small network.

    descentlab retrain examples/digits.py:digits --runs 200
    descentlab widen examples/digits.py:digits --widths 4,8,16 --runs 50

Its loss has no levels to be stuck at: runs differ by a little, and the best of them is a little better.
"""

import torch
from torch import nn

from descentlab.errors import InputError

try:
    from sklearn.datasets import load_digits
except ImportError:
    raise InputError(
        "the digits come with scikit-learn, which is not here: pip install scikit-learn."
    ) from None

images, names = load_digits(return_X_y=True)


def build(width: int = 16) -> nn.Module:
    """Make a network with one hidden layer and one output a digit."""
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


digits = {
    "build": build,
    "loss": nn.CrossEntropyLoss(),
    "data": (torch.tensor(images / 16, dtype=torch.float32), torch.tensor(names)),
    "held_out": 0.2,
    "optimizer": "adam",
    "learning_rate": "cosine:0.01",
    "epochs": 20,
    "batch_size": 64,
    "solved": 0.15,
}
