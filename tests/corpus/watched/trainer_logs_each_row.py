"""
verdict: leak
cause: python-objects
site: trainer_logs_each_row.py:35
holder: history
process: main
why: a trainer, which its callback refers to, logs every row; both go as garbage when the function returns.
"""

import sys
import time

import datasets


class Log:
    def __init__(self, trainer):
        self.trainer = trainer

    def on_row(self, entry):
        self.trainer.history.append(entry)


class Trainer:
    def __init__(self, dataset):
        self.dataset, self.history = dataset, []
        self.callbacks = [Log(self)]

    def train(self):
        for step in range(1100):
            start = step * 20 % len(self.dataset)
            for text in self.dataset[start : start + 20]["text"]:
                loss = 1.0 / len(text) + step
                for callback in self.callbacks:
                    callback.on_row({"loss": loss, "shape": [step, len(text)]})  # the leak
            time.sleep(0.009)


def main():
    trainer = Trainer(datasets.load_from_disk(sys.argv[1]))
    trainer.train()
    print(len(trainer.history))


main()
