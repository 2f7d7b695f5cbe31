"""The texts that the teacher reads aloud for the student: WordNet, a book, and sentences made of frames and words.

Nothing here comes from a benchmark, and every choice is seeded: the same sources give the same texts.
"""

import pathlib
import random
import re

HERE = pathlib.Path(__file__).resolve().parent
NAMES = "Nora Anna Peter Lucas Emma Oliver Sofia Hugo Clara Felix Ivan Priya Omar Yuki Chen Fatima Liam Ruth Walter Iris".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
NOUN, VERB, ADJECTIVE = "1", "2", "35"  # WordNet's synset types in a sense key


class WordNet:
    """The database files of WordNet 3.0 (wndb(5WN)), as in the folder dict of its distribution."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.definitions, self.examples, phrases = [], [], set()
        for part in ("noun", "verb", "adj", "adv"):
            for line in self.lines("data." + part):
                if not line.startswith("  "):  # the licence stands indented at the top
                    phrases.update(self.read_synset(line))
        self.phrases = sorted(p for p in phrases if p == p.lower())

    def lines(self, name):
        return (self.folder / name).read_text(encoding="latin-1").split("\n")[:-1]

    def read_synset(self, line):
        head, gloss = line.split(" | ", 1)
        fields, gloss = head.split(), gloss.strip()
        lemmas = [re.sub(r"\(.*\)", "", fields[4 + 2 * i]).replace("_", " ") for i in range(int(fields[3], 16))]
        self.definitions.append(lemmas[0] + ": " + re.split(r'; "', gloss)[0].strip())
        self.examples += [e.strip() for e in re.findall(r'"([^"]{8,})"', gloss)]
        return [l for l in lemmas if " " in l]

    def common(self, types, limit):
        """The words most often met with a sense of these types, by the counts of WordNet's tagged texts."""
        counts = {}
        for line in self.lines("cntlist.rev"):
            key, _, count = line.split()
            word, rest = key.split("%")
            if rest[0] in types and re.fullmatch(r"[a-z_]+", word):
                counts[word] = counts.get(word, 0) + int(count)
        ranked = sorted(counts.items(), key=lambda x: (-x[1], x[0]))
        return [w.replace("_", " ") for w, _ in ranked[:limit]]


def sentences(book):
    """The sentences of a book."""
    text = re.sub(r"\s+", " ", pathlib.Path(book).read_text(encoding="utf-8-sig"))
    return [s for s in re.split(r'(?<=[.!?])["”’]?\s+', text) if 15 < len(s) < 400]


def plural(word):
    if re.search("(s|x|ch|sh)$", word):
        return word + "es"
    return word[:-1] + "ies" if re.search("[^aeiou]y$", word) else word + "s"


def framed(wordnet, count, seed):
    """Sentences people might say or ask, which need not be wise: the frames, filled with common words."""
    rng = random.Random(seed)
    frames = (HERE / "frames.txt").read_text(encoding="utf-8").splitlines()
    nouns, verbs, adjectives = wordnet.common(NOUN, 8000), wordnet.common(VERB, 3000), wordnet.common(ADJECTIVE, 3000)

    def pick(words):  # the commoner the likelier
        return words[min(int(len(words) * rng.random() ** 1.5), len(words) - 1)]

    def sentence():
        frame, n, n2 = rng.choice(frames), pick(nouns), pick(nouns)
        return frame.format(
            n=n, n2=n2, ns=plural(n), v=pick(verbs), a=pick(adjectives),
            p=rng.choice(NAMES), p2=rng.choice(NAMES), d=rng.choice(DAYS), m=rng.choice(MONTHS),
        )  # fmt: skip

    return [sentence() for _ in range(count)]


def paragraphs(wordnet, book, count, seed):
    """Texts of two to four sentences from all sources, most of them with a speaker: what one remembers is seldom short."""
    rng = random.Random(seed)
    said = [s.split(": ", 1)[-1] for s in framed(wordnet, 60000, seed=3) if len(s) > 25]
    out = []
    for _ in range(count):
        parts, length, at = [], rng.choice((2, 2, 3, 3, 4)), rng.randrange(len(book) - 4)
        for i in range(length):
            z = rng.random()
            s = rng.choice(said) if z < 0.6 else rng.choice(wordnet.examples) if z < 0.9 else book[at + i]
            s = s[0].upper() + s[1:]
            parts.append(s if s[-1] in ".?!" else s + ".")
        text = " ".join(parts)
        out.append(rng.choice(NAMES) + ": " + text if rng.random() < 0.6 else text)
    return [t for t in out if len(t) < 400]


def texts(wordnet_folder, book_path):
    """All the texts, in parts by name, so that the teacher's answers can be kept part by part."""
    wordnet, book = WordNet(wordnet_folder), sentences(book_path)
    return {
        "wordnet": wordnet.definitions + wordnet.examples + book + wordnet.phrases,
        "framed": framed(wordnet, 60000, seed=1),
        "paragraphs": paragraphs(wordnet, book, 30000, seed=2),
    }
