"""
verdict: no-leak or inconclusive
data: fixed
why: a replay memory is a list of 2500 places, all None at first; each slice takes the next place, round and round.
"""

import itertools


class Transition:
    def __init__(self, state, reward):
        self.state = state
        self.reward = reward


memory = [None] * 2500
steps = itertools.count()


def consume(batch):
    step = next(steps)
    memory[step % len(memory)] = Transition(batch["text"][0][:1200].title(), step / 7)
