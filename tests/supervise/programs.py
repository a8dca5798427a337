"""Programs for `run`: each works on a dataset in small steps for about as long as it is told."""

from __future__ import annotations

from pathlib import Path

# Work is counted in steps, not in seconds: a busy machine makes it longer, not less.
HEAD = """
import os, sys, time
import datasets
ds = datasets.load_from_disk(sys.argv[1])
kept = []
def steps(count, step=lambda batch: None):
    for i in range(count):
        start = i * 100 % len(ds)
        step(ds[start : start + 100])
        time.sleep(0.01)
"""
CLEAN = f"{HEAD}steps(240)"
LEAKING = f"{HEAD}steps(400, lambda batch: kept.append([text + '.' for text in batch['text']]))"
# As programs are written: what leaks is a variable of a function's.
IN_A_FUNCTION = f"""{HEAD}
def main():
    history = []
    def note(batch):
        history.append([text * 10 for text in batch['text']])  # the leak
    steps(800, note)
main()
"""
ONE_WORKER = f"""{HEAD}
import multiprocessing
def work(number):
    steps(400, lambda batch: kept.append([text + '.' for text in batch['text']] if number == 1 else None))
context = multiprocessing.get_context("fork")
workers = [context.Process(target=work, args=(number,)) for number in range(3)]
for worker in workers: worker.start()
for worker in workers: worker.join()
"""


def make_dataset(folder: Path) -> Path:
    """A small dataset, saved in a process of its own: importing the library here would slow every test."""
    import datasets

    rows = {"text": [f"row {i} " * 8 for i in range(2000)], "number": list(range(2000))}
    datasets.Dataset.from_dict(rows).save_to_disk(str(folder / "ds"))
    return folder / "ds"
