"""
verdict: no-leak
data: fixed
why: the collector's first threshold is 200,000, as servers set it: cycles wait longer for it and are freed by it.
"""

import gc


def setup():
    gc.set_threshold(200_000, 20, 20)


class Node:
    def __init__(self, text):
        self.text = text
        self.children = []
        self.parent = None

    def add(self, node):
        node.parent = self
        self.children.append(node)


def consume(batch):
    root = Node("")
    for text in batch["text"][:40]:
        root.add(Node(text.upper()))
