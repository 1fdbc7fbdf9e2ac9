"""Train a small model on scikit-learn's handwritten digits, then use it, both tracked by TraceML.

python train_digits.py                     # numbers without any server
TRACEML_AGENT_URL=… TRACEML_AGENT_TOKEN=… python train_digits.py
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from traceml_agent import track, watch

EPOCHS = 30
PREDICTIONS = 300
SHIFTS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


def shifted(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images in all nine one-pixel shifts, so that the model learns digits rather than positions."""
    moved = [np.roll(images.reshape(-1, 8, 8), shift, axis=(1, 2)).reshape(len(images), -1) for shift in SHIFTS]
    return np.concatenate(moved), np.tile(labels, len(SHIFTS))


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(images / 16.0, labels, test_size=0.25, random_state=7)
    train_x, train_y = shifted(train_x, train_y)
    model = MLPClassifier(hidden_layer_sizes=(512, 256), random_state=7)

    settings = {"hidden": [512, 256], "epochs": EPOCHS, "optimizer": "adam"}
    with track("digits-mlp", kind="training", name="digits, first training", tags=["example"], params=settings) as run:
        for _ in run.epochs(range(EPOCHS)):
            model.partial_fit(train_x, train_y, classes=np.arange(10))
            run.log(loss=model.loss_, accuracy=model.score(test_x, test_y))

    with track("digits-mlp", kind="inference", name="digits, in use", tags=["example"]):
        in_use = watch(model)
        for _ in range(PREDICTIONS):
            in_use.predict(np.tile(test_x, (10, 1)))


if __name__ == "__main__":
    main()
