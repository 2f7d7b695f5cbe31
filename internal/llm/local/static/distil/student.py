"""The student: a table of token vectors, whose mean over a text's tokens is to point where the teacher's embedding does."""

import numpy as np
import scipy.sparse

KEEP = 0.7  # how much of the untrained table stays in the mean of the two


def unit(x):
    return x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-9)


def bags(sequences, size):
    """One row a text, counting its tokens."""
    ends = np.cumsum([0] + [len(s) for s in sequences])
    tokens = np.concatenate([np.asarray(s, np.int64) for s in sequences])
    return scipy.sparse.csr_matrix((np.ones(len(tokens), np.float32), tokens, ends), shape=(len(sequences), size))


def soft(similarities, temperature):
    """Each row as a distribution over the other texts."""
    s = similarities / temperature
    np.fill_diagonal(s, -1e9)
    s = np.exp(s - s.max(1, keepdims=True))
    return s / s.sum(1, keepdims=True)


def slope(student, target, temperature=0.05):
    """The gradient, by the student's unit vectors, of 1 - cosine and of the divergence between whom the teacher and the
    student find near in the batch."""
    wrong = soft(student @ student.T, temperature) - soft(target @ target.T, temperature)
    return (-target + (wrong + wrong.T) @ student / temperature) / len(target)


def train(start, sequences, targets, epochs=4, batch=1024, rate=5e-3, seed=0):
    """Adam with one second moment a row and a cosine schedule; only the rows met in a batch move."""
    rng, table = np.random.default_rng(seed), start.astype(np.float32)
    counts, targets = bags(sequences, len(start)), unit(targets).astype(np.float32)
    first, second = np.zeros_like(table), np.zeros(len(table), np.float32)
    steps = epochs * (len(sequences) // batch)
    order = np.concatenate([rng.permutation(len(sequences))[: steps // epochs * batch] for _ in range(epochs)])
    for step in range(steps):
        chosen = order[step * batch : (step + 1) * batch]
        rows = np.unique(counts[chosen].indices)
        bag = counts[chosen][:, rows]
        total = bag @ table[rows]
        length = np.linalg.norm(total, axis=1, keepdims=True) + 1e-9
        points = total / length
        pull = slope(points, targets[chosen])
        pull = (pull - (pull * points).sum(1, keepdims=True) * points) / length
        gradient = bag.T @ pull
        first[rows] = 0.9 * first[rows] + 0.1 * gradient
        second[rows] = 0.99 * second[rows] + 0.01 * (gradient * gradient).mean(1)
        pace = rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        table[rows] -= pace * first[rows] / (np.sqrt(second[rows])[:, None] + 1e-10)
    return table
