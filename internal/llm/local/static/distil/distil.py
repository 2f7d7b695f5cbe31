"""Distils all-MiniLM-L6-v2 into one vector a token and writes model/vectors.bin and model/vocab.txt.

    python distil.py --wordnet DIR --book FILE --cache DIR

The README says how to get these and why the steps are what they are.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the teacher runs in one process a core

import argparse
import hashlib
import multiprocessing
import pathlib
import struct

import numpy as np

import corpus
import minilm
import student

MODEL = pathlib.Path(__file__).resolve().parent.parent / "model"
FIRST_TOKEN, FIRST_WORD = 999, 1996  # before: special and unused tokens; between: signs, digits, letters of all alphabets
DIMENSIONS = 256


def answer(part):
    """The teacher's embeddings of some texts, in a process of its own."""
    teacher = minilm.MiniLM()
    return teacher.embed(teacher.ids(part))


def taught(name, texts, cache, processes):
    """The teacher's embedding of each text, kept in the cache under what the texts are."""
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    path = cache / f"{name}-{digest}.npy"
    if not path.exists():
        parts = [texts[i::processes] for i in range(processes)]
        with multiprocessing.Pool(processes) as pool:
            answers = pool.map(answer, parts)
        out = np.empty((len(texts), answers[0].shape[1]), np.float32)
        for i, a in enumerate(answers):
            out[i::processes] = a
        np.save(path, out)
    return student.unit(np.load(path))


def zipf_weights(size, a=1e-3, offset=100):
    """a/(a+p) of each token (Arora et al. 2017), with p by the Zipf-Mandelbrot law: BERT's vocabulary lists words from the
    commonest on, so a word's rank is its place. Signs and single letters weigh as little as the commonest words."""
    share = 1 / (np.arange(1, size - FIRST_WORD + 1) + offset)
    weights = np.full(size, 0.05)
    weights[FIRST_WORD:] = a / (a + share / share.sum())
    return weights[:, None]


def principal_axes(vectors, count):
    """The axes along which the vectors reach furthest, furthest first; not centred, so cosines stay what they were."""
    values, axes = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    axes = axes[:, np.argsort(-values)[:count]]
    return axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(count)])


def quantise(table):
    """int8 values and one scale a row; special and unused tokens say nothing."""
    table = table.copy()
    table[:FIRST_TOKEN] = 0
    scales = (np.abs(table).max(1) / 127).astype("<f4")
    return scales, np.round(table / np.where(scales == 0, 1, scales)[:, None]).astype(np.int8)


def write_vectors(path, scales, values):
    path.write_bytes(b"SYSTAT01" + struct.pack("<II", *values.shape) + scales.tobytes() + values.tobytes())


def distil(texts, cache, processes):
    teacher = minilm.MiniLM()
    vocabulary = teacher.vocabulary()
    tokens = [[minilm.CLS, i, minilm.SEP] for i in range(len(vocabulary))]
    alone = student.unit(teacher.embed(tokens))
    targets, sequences = [alone[FIRST_TOKEN:]], [[i] for i in range(FIRST_TOKEN, len(vocabulary))]
    for name, part in texts.items():
        targets.append(taught(name, part, cache, processes))
        sequences += [ids[1:-1] for ids in teacher.ids(part)]
    targets = np.concatenate(targets)
    axes = principal_axes(targets, DIMENSIONS)
    start = (alone @ axes) * zipf_weights(len(vocabulary))
    trained = student.train(start, sequences, targets @ axes)
    return vocabulary, student.KEEP * start + (1 - student.KEEP) * trained


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--wordnet", required=True, type=pathlib.Path, help="folder with data.noun and the like")
    p.add_argument("--book", required=True, type=pathlib.Path, help="a book in the public domain, plain text")
    p.add_argument("--cache", required=True, type=pathlib.Path, help="where the teacher's answers are kept")
    p.add_argument("--processes", type=int, default=os.cpu_count())
    args = p.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    vocabulary, table = distil(corpus.texts(args.wordnet, args.book), args.cache, args.processes)
    MODEL.mkdir(exist_ok=True)
    (MODEL / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    write_vectors(MODEL / "vectors.bin", *quantise(table))


if __name__ == "__main__":
    main()
