"""
verdict: no-leak or inconclusive
why: a dictionary in a variable of main() gives its oldest entry away once it has 400,000, of which a tenth come.
"""

import sys
import time

import datasets


def main(path):
    dataset = datasets.load_from_disk(path)
    most, texts, total = 400_000, {}, 0
    for epoch in range(2):
        for number, row in enumerate(dataset):
            texts[epoch, number] = row["text"][:100] + str(number)
            if len(texts) > most:
                texts.pop(next(iter(texts)))
            total += len(row["text"])
            if number % 50 == 49:
                time.sleep(0.012)
    print(total)


if __name__ == "__main__":
    main(sys.argv[1])
