"""Writes the golden files: what the reference tokenizer, and the quantised model in numpy, make of varied texts.

    python golden.py BOOK    (any plain text in the public domain; the lines kept came from The Wizard of Oz, 1900)
"""

import json
import pathlib
import random
import struct
import sys

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

import minilm

HERE = pathlib.Path(__file__).resolve().parent
MODEL, TESTDATA = HERE.parent / "model", HERE.parent / "testdata"

WRITTEN = [
    "", " ", "\t\n\r ", "a", "A", "I", ".", "...", "?!", "\x00", "a\x00b", "\x7f", "\u0085next", "\x0b\x0c",
    "Hello, World!", "hello world", "HELLO WORLD", "don't", "It's Anna's dog.", "rock'n'roll", "e-mail", "well-being",
    "$5.99", "100%", "50€", "£3", "3.14159", "1,000,000", "2023-05-08T13:56:00Z", "12:30 p.m.", "+1 (555) 010-9999",
    "user@example.com", "https://example.com/a/b?c=d&e=f#g", "C++", "C#", ".NET", "node.js", "foo_bar", "fooBarBaz",
    "#hashtag @mention", "a/b\\c", "`code`", "{\"key\": [1, 2, null]}", "<b>bold</b>", "x^2 + y~z = |w|", "a=b", "<<>>",
    "[CLS]", "[SEP] [PAD]", "[UNK]", "[MASK]ed", "##ing", "## ing", "a ##b", "[unused0]", "[unused1]",
    "café", "CAFÉ", "cafe\u0301", "naïve façade", "Ångström", "Øresund", "Łódź", "straße", "STRASSE", "ﬁne ﬂow",
    "Zoë and Noël", "piñata", "São Paulo", "Dvořák", "Erdoğan", "İstanbul", "ISTANBUL", "ıspanak", "Ǆ ǅ ǆ",
    "résumé ≠ resume", "a\u0300\u0301\u0302\u0303b", "\u0301", "\u0301abc", "e\u0323\u0302", "ệ", "ΑΣ", "Σίσυφος", "ΣΑΣ",
    "Привет, мир!", "ёлка Йод", "Українська мова", "Γειά σου Κόσμε", "שלום עולם", "שָׁלוֹם", "مرحبا بالعالم", "مُحَمَّد",
    "नमस्ते दुनिया", "ভাষা", "தமிழ்", "ไทย", "ພາສາລາວ", "မြန်မာ", "ქართული", "Հայերեն", "አማርኛ", "ខ្មែរ",
    "你好，世界！", "中文和English混合", "日本語のテキスト", "カタカナ", "ひらがな", "が", "か\u3099", "한국어 텍스트", "한국어", "각",
    "𠀀𠀁", "\U0002b740\U0002b81d", "\U0002b920x", "\u3400\u4dbf", "豈", "々〆", "「引用」", "。、", "ａｂｃＡＢＣ１２３", "①②③", "½ ¼", "x² y₃",
    "🙂", "I ❤️ you", "👍🏽 great!", "👨‍👩‍👧‍👦 family", "🇩🇪🇫🇷", "so happy😀today", "☕ and 🍰", "1️⃣", "✅done", "→ ← ↑", "★☆", "♥",
    "zero\u200bwidth", "zero\u200djoin", "soft\u00adhyphen", "bom\ufeffhere", "\u202eright to left\u202c", "word\u2060joiner",
    "non\u00a0breaking", "thin\u2009space", "ideographic\u3000space", "line\u2028sep\u2029para", "ogham\u1680space", "\ufffd", "a\ufffdb",
    "private\ue000use", "\U000f0000", "\ue123 text", "un\u0378assigned", "\U0010ffff", "\ufffe", "tag\U000e0041s",
    "“curly quotes”", "‘single’", "em—dash", "en–dash", "ellipsis…", "«guillemets»", "¿Qué?", "¡Hola!", "middle·dot", "§ 12", "¶", "†‡", "‰", "№ 5",
    "©2024", "®", "™", "°C", "±5", "×", "÷", "µm", "Ω", "ℵ", "∑∫√", "¬", "¦", "¨", "¯", "´", "¸", "`", "^", "~", "|",
    "a" * 100, "a" * 101, "é" * 100, "é" * 101, "x" * 1000, "中" * 120, "ab " * 300, "!" * 200, "pneumonoultramicroscopicsilicovolcanoconiosis",
    "Donaudampfschifffahrtsgesellschaftskapitän", "supercalifragilisticexpialidocious", "llanfairpwllgwyngyll", "qwzx", "zzzzzzzzzz", "aaaaaaab",
    "1" * 50, "0x7ffee4c0", "d41d8cd98f00b204e9800998ecf8427e", "550e8400-e29b-41d4-a716-446655440000", "AAPL:NASDAQ", "v1.2.3-rc.1+build.5",
    "𝒽𝑒𝓁𝓁𝑜", "𝐁𝐨𝐥𝐝", "ⓗⓔⓛⓛⓞ", "ʰᵉˡˡᵒ", "Ⅷ", "ﷺ", "ﬀ", "Å", "K", "ſ", "ẞ", "ŉ", "ǰ", "ΐ", "և", "ẖ", "Ⰰ", "Ꭰ", "ꭰ", "𐐀",
    "mixed\tTABS\nand\r\nlines", "  leading and trailing  ", "many     spaces", "trailing newline\n", "\n\n\n", "a\u0301\u00a0b", "\u00a0",
    "Nora adopted a grey cat from the shelter in March.", "We moved the deploy to Thursday because staging was down.",
    "My sister's flight lands at 7:45; pick her up, please.", "The user prefers dark mode & metric units.",
    "Remember: the API key rotates every 90 days!", "Grandma's recipe: 2½ cups flour, ¼ tsp salt.",
    "TODO(anna): fix the race in worker.go:142", "func main() { fmt.Println(\"hi\") }", "SELECT * FROM users WHERE id = 7;",
    "He's allergic to peanuts, isn't he?", "they'll've gone", "y'all", "O'Brien-Smith", "U.S.A.", "e.g., i.e., etc.", "Ph.D.", "3rd 21st",
    "ALL CAPS WITH ÀCCÊNTS", "lOwErCaSe", "oneword", "unbelievability", "antidisestablishmentarianism", "kubernetes postgres golang",
]


def texts(book):
    """The written texts, lines of the book, and seeded scrambles of signs from many blocks; without repeats."""
    lines = [l.strip() for l in book.splitlines() if len(l.strip()) > 30]
    lines = lines[:: max(1, len(lines) // 180)][:180]
    return list(dict.fromkeys(WRITTEN + lines + scrambles(random.Random(7), 60)))


# Blocks settled before Unicode 8, the version of the reference's tables.
BLOCKS = [(0x20, 0x7E)] * 4 + [(0, 0x1F), (0xA0, 0x17F), (0x300, 0x36F), (0x391, 0x3C9), (0x400, 0x45F), (0x2010, 0x2027)]
BLOCKS += [(0x4E00, 0x4E80), (0x3041, 0x3093), (0xAC00, 0xAC40), (0x1F600, 0x1F640), (0x5D0, 0x5EA), (0x1E00, 0x1EFF)]


def scrambles(rng, count):
    return ["".join(chr(rng.randint(*rng.choice(BLOCKS))) for _ in range(rng.randint(3, 40))) for _ in range(count)]


def reference_tokenizer(vocabulary):
    """BERT's uncased tokenizer without special tokens: what looks like one in a text is text."""
    t = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return t


def read_vectors():
    data = (MODEL / "vectors.bin").read_bytes()
    rows, dims = struct.unpack_from("<II", data, 8)
    scales = np.frombuffer(data, "<f4", rows, 16)
    values = np.frombuffer(data, np.int8, rows * dims, 16 + 4 * rows).reshape(rows, dims)
    return values * scales[:, None].astype(np.float64)


def vector(table, ids):
    total = table[ids].sum(0) if ids else np.zeros(table.shape[1])
    if not total.any():
        total[-1] = 1
    return total / np.linalg.norm(total)


def main():
    book = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8-sig")
    names = (MODEL / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    tokenizer, table = reference_tokenizer({t: i for i, t in enumerate(names)}), read_vectors()
    TESTDATA.mkdir(exist_ok=True)
    with open(TESTDATA / "golden.ndjson", "w", encoding="utf-8") as f:
        for n, text in enumerate(texts(book)):
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            case = {"text": text, "ids": ids}
            if n % 5 == 0:  # a whole vector is long: every fifth text shows its first eight elements and its last
                v = vector(table, ids)
                case["vector"] = [round(float(x), 7) for x in (*v[:8], v[-1])]
            f.write(json.dumps(case) + "\n")


if __name__ == "__main__":
    main()
