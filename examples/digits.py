"""Train a small neural network to read handwritten digits, tracked by whirr.

The 1,797 images ship inside scikit-learn, so this runs offline:

    python examples/digits.py --lr 0.003 --epochs 40 --name small-steps
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

import whirr


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="digits", help="name of the run")
    parser.add_argument("--lr", type=float, default=0.001, help="learning rate")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=64, help="units in the hidden layer")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def train(args: argparse.Namespace, run: whirr.Run) -> None:
    images, labels = load_digits(return_X_y=True)
    train_x, val_x, train_y, val_y = train_test_split(images, labels, test_size=0.25, random_state=args.seed)
    scaler = StandardScaler().fit(train_x)
    train_x, val_x = scaler.transform(train_x), scaler.transform(val_x)

    model = MLPClassifier(
        hidden_layer_sizes=(args.hidden,),
        learning_rate_init=args.lr,
        batch_size=args.batch_size,
        random_state=args.seed,
    )
    best_accuracy, best_epoch = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        best_model = Path(folder) / "model.pkl"
        for epoch in range(args.epochs):
            model.partial_fit(train_x, train_y, classes=range(10))  # one pass over the training images
            val_loss = log_loss(val_y, model.predict_proba(val_x), labels=range(10))
            val_accuracy = model.score(val_x, val_y)
            metrics = {"train_loss": model.loss_, "val_loss": val_loss, "val_accuracy": val_accuracy}
            run.log(metrics, step=epoch)

            if val_accuracy > best_accuracy:
                best_accuracy, best_epoch = val_accuracy, epoch
                best_model.write_bytes(pickle.dumps((scaler, model)))
                run.save_artifact(best_model)
            if (epoch + 1) % 10 == 0:
                print(f"epoch {epoch + 1:3d}  val_loss {val_loss:.4f}  val_accuracy {val_accuracy:.4f}")
    run.summary({"best_val_accuracy": best_accuracy, "best_epoch": best_epoch})


def main() -> None:
    args = parse_args()
    with whirr.init(name=args.name, config=args, tags=["digits", "example"]) as run:
        train(args, run)


if __name__ == "__main__":
    main()
