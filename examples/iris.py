"""Fisher's iris flowers: three species told apart by four measurements. Needs scikit-learn, for its data.

descentlab retrain examples/iris.py:iris --runs 200
descentlab widen examples/iris.py:iris --widths 1,2,4,8 --runs 200
"""

import torch
from torch import nn

from descentlab.errors import InputError

try:
    from sklearn.datasets import load_iris
except ImportError:
    raise InputError(
        "the iris data comes with scikit-learn, which is not here: pip install scikit-learn."
    ) from None

measurements, species = load_iris(return_X_y=True)
measurements = (measurements - measurements.mean(axis=0)) / measurements.std(axis=0)


def build(width: int = 4) -> nn.Module:
    """Make a network with one hidden layer and one output a species."""
    return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3))


iris = {
    "build": build,
    "loss": nn.CrossEntropyLoss(),
    "data": (torch.tensor(measurements, dtype=torch.float32), torch.tensor(species)),
    "held_out": 0.2,
    "optimizer": "sgd",
    "momentum": 0.9,  # a setting of the optimizer
    "learning_rate": 0.1,
    "epochs": 60,
    "batch_size": 24,
    "solved": 0.08,
}
