"""Use the model."""

import sys

import numpy as np


def main() -> None:
    """Print the forecast for a day: 6, or the first argument."""
    model = np.load("model/model.npz")
    day = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    print(f"{model['start'] + model['slope'] * day:.1f}")
