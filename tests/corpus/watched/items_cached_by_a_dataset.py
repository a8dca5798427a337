"""
verdict: no-leak or inconclusive
why: an object of main()'s remembers the first hundred thousand items that it was asked for; forty thousand come.
"""

import sys
import time

import datasets


class Remembered:
    def __init__(self, dataset, most=100_000):
        self.dataset = dataset
        self.items = {}
        self.most = most

    def item(self, epoch, number):
        key = epoch * 50_000 + number
        if key in self.items:
            return self.items[key]
        made = {"text": self.dataset[number]["text"][:100] + str(key), "weight": key * 1.5}
        if len(self.items) < self.most:
            self.items[key] = made
        return made


def main(path):
    remembered, total = Remembered(datasets.load_from_disk(path)), 0
    for epoch in range(2):
        for number in range(len(remembered.dataset)):
            total += len(remembered.item(epoch, number)["text"])
            if number % 50 == 49:
                time.sleep(0.012)
    print(total)


if __name__ == "__main__":
    main(sys.argv[1])
