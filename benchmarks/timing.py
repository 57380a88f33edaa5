"""Interleaved timing of statements.

pyperf and pytest-benchmark measure one contender to the end, then the next, in fresh
processes or one after the other: on a shared machine whose speed drifts by 10 % within
minutes that compares the machine with itself. Here all contenders of a case take turns in
short batches, so that drift meets all of them, and ratios are taken within a round. The batch
itself is the standard library's `timeit.Timer`: its loop, its clock, garbage collection off.
"""

import os
import random
import statistics
import time
import timeit
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

BATCH_SECONDS = 0.002
# Idle OpenMP workers spin for a few milliseconds; they must not eat the next one's core.
SETTLE_SECONDS = 0.01
# On a machine so busy (or a case so long) fewer rounds must do.
PATIENCE = 20


def cores():
    """The number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class Bound(NamedTuple):
    """A statement ready to run, and the names in it."""

    statement: str
    names: dict
    returns: str    # expression for the result once the statement has run; "" is its own value

    def result(self):
        """Run once and return the result as an array; of (loss, gradient), the gradient."""
        if self.returns:
            exec(self.statement, dict(self.names))
            value = eval(self.returns, dict(self.names))
        else:
            value = eval(self.statement, dict(self.names))
        if isinstance(value, tuple | list):
            value = value[-1]
        return array(value)


def array(value):
    """A NumPy array; PyTorch does not make one of bfloat16."""
    if str(getattr(value, "dtype", "")) == "torch.bfloat16":
        import ml_dtypes

        return value.float().numpy().astype(ml_dtypes.bfloat16)
    return np.array(value)


@dataclass
class Timing:
    """One contender's part in a case. Seconds a call; ratios to cyact."""

    statement: str
    seconds: list = field(repr=False)
    median: float = 0.0
    ratio: float = 1.0          # of the medians
    low: float = 1.0            # quartiles of the rounds' ratios
    high: float = 1.0
    ulp: float | None = None    # largest error, tails included

    @property
    def spread(self):
        """Half the distance of the quartiles of the ratio, relative to it."""
        return (self.high - self.low) / 2 / self.ratio


def batch_size(timer, batch):
    """Calls that take about `batch` seconds together; warms up on the way."""
    number, seconds = 1, timer.timeit(1)
    seconds = min(seconds, timer.timeit(1))
    while seconds < batch / 4:
        number *= 4
        seconds = timer.timeit(number)
    return max(1, round(number * batch / seconds))


def take_turns(bound, rounds, seconds, threads=1, batch=BATCH_SECONDS, clock=time.perf_counter):
    """Time the statements of {name: Bound}, in a batch each in every round: {name: Timing}.

    `rounds` is the smallest and the largest number of rounds, `seconds` the time after which
    no round above the smallest number is begun; after PATIENCE times as long, none at all.
    """
    timers = {name: timeit.Timer(entry.statement, globals=entry.names, timer=clock)
              for name, entry in bound.items()}
    numbers = {name: batch_size(timer, batch) for name, timer in timers.items()}
    taken = {name: [] for name in timers}
    order = list(timers)
    shuffle = random.Random(0).shuffle
    begin = clock()
    for done in range(rounds[1]):
        spent = clock() - begin
        if spent > (seconds if done >= rounds[0] else PATIENCE * seconds) and done >= 3:
            break
        shuffle(order)      # so that nobody always runs in the same one's wake
        for name in order:
            if threads > 1:
                time.sleep(SETTLE_SECONDS)
            timers[name].timeit(1)      # wakes its threads, brings its code into cache
            taken[name].append(timers[name].timeit(numbers[name]) / numbers[name])
    return {name: Timing(bound[name].statement, taken[name]) for name in bound}


def summarize(timings):
    """Fill in medians, and ratios to cyact's times of the same rounds."""
    base = timings["cyact"]
    for timing in timings.values():
        timing.median = statistics.median(timing.seconds)
    for timing in timings.values():
        ratios = [a / b for a, b in zip(timing.seconds, base.seconds, strict=True)]
        timing.ratio = timing.median / base.median
        timing.low, _, timing.high = statistics.quantiles(ratios, n=4, method="inclusive")
    return timings
