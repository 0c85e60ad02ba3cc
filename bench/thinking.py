"""What it costs to know an answer: ``answer()`` alone, in a process that does nothing else."""

import statistics
import time

import knowledge_base as kb
from bench.answers import QUESTIONS

WARM = 50


def alone(times: int) -> float:
    """Return the seconds of CPU of one ``answer()``, on average, for the questions that the benchmark asks."""
    base = kb.KnowledgeBase(kb.load(kb.DEMO))
    took = []
    for number in range(WARM + times):
        began = time.process_time_ns()
        base.answer(QUESTIONS[number % len(QUESTIONS)], "en")
        if number >= WARM:
            took.append((time.process_time_ns() - began) / 1e9)
    return statistics.mean(took)
