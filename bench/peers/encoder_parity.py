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

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--sentence-encoder")
    a = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        ok = parity(a.build, folder)
    sys.exit(0 if ok else 1)
