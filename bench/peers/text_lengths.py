"""Peers of bench/textbench on texts of given lengths: PyTorch and ONNX Runtime, which pad a batch to its longest text.

python text_lengths.py mlm    --config minilm --lengths FILE [--compile]
python text_lengths.py encode --lengths FILE --backend torch|compile|onnxruntime [--batch 32]

FILE: token counts, one a line, in the order of the texts. The models, losses and optimizer are those of BERT with
dropout .1 (attention .0), its head on the masked tokens, fused AdamW. Needs torch, for encoding transformers, onnx and
onnxruntime. Prints `name[config] value unit | details`.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("job", choices=["mlm", "encode"])
parser.add_argument("--config", default="minilm", choices=["tiny", "mini", "minilm", "base"])
parser.add_argument("--lengths", required=True)
parser.add_argument("--batch", type=int, default=32, help="texts a batch of encode")
parser.add_argument("--backend", default="torch", choices=["torch", "compile", "onnxruntime"])
parser.add_argument("--compile", action="store_true")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--budget", type=float, default=8)
a = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)
import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402

torch.set_num_threads(a.threads)
torch.manual_seed(0)
LAYERS, H, HEADS, LENGTH, BATCH = {
    "tiny": (2, 128, 2, 128, 32), "mini": (4, 256, 4, 128, 32), "minilm": (6, 384, 12, 128, 16), "base": (12, 768, 12, 128, 8)
}[a.config]
V = 30522
lengths = [int(line) for line in open(a.lengths)]


def timed(run, least):
    for _ in range(3):
        run()
    times, begin = [], time.perf_counter()
    while len(times) < least or time.perf_counter() - begin < a.budget:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out, self.n1 = nn.Linear(H, 3 * H), nn.Linear(H, H), nn.LayerNorm(H)
        self.up, self.down, self.n2 = nn.Linear(H, 4 * H), nn.Linear(4 * H, H), nn.LayerNorm(H)

    def forward(self, x, mask):
        b, t, _ = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, HEADS, H // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(b, t, H)
        x = self.n1(x + F.dropout(self.out(y), 0.1))
        return self.n2(x + F.dropout(self.down(F.gelu(self.up(x))), 0.1))


class Mlm(nn.Module):
    def __init__(self):
        super().__init__()
        self.word, self.position, self.token_type = nn.Embedding(V, H), nn.Embedding(512, H), nn.Embedding(2, H)
        self.norm, self.layers = nn.LayerNorm(H), nn.ModuleList([Layer() for _ in range(LAYERS)])
        self.dense, self.head_norm, self.bias = nn.Linear(H, H), nn.LayerNorm(H), nn.Parameter(torch.zeros(V))

    def forward(self, ids, mask, where, labels):
        x = self.word(ids) + self.position.weight[: ids.shape[1]] + self.token_type.weight[0]
        x = F.dropout(self.norm(x), 0.1)
        for layer in self.layers:
            x = layer(x, mask)
        x = self.head_norm(F.gelu(self.dense(x.reshape(-1, H).index_select(0, where))))
        return F.cross_entropy(F.linear(x, self.word.weight, self.bias), labels)


def mlm():
    chosen, total = [], 0
    for n in lengths:
        total += n
        if total <= BATCH * LENGTH:
            chosen.append(n)
    tokens, longest = sum(chosen), max(chosen)
    ids = torch.randint(0, V, (len(chosen), longest))
    places = torch.arange(longest)[None, :] < torch.tensor(chosen)[:, None]
    mask = places[:, None, None, :]
    masked = int(0.15 * tokens)
    real = places.reshape(-1).nonzero()[:, 0]
    where, labels = real[torch.arange(masked) * tokens // masked], torch.randint(0, V, (masked,))
    model = Mlm()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    call = torch.compile(model) if a.compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        call(ids, mask, where, labels).backward()
        optimizer.step()

    median = timed(step, 4)
    print(f"mlm_step[{a.config},{'compile' if a.compile else 'eager'},lengths,T={a.threads}] {tokens / median:.6g} tokens/s | "
          f"step {median * 1e3:.1f} ms, {len(chosen)} sequences padded to {longest}, peakRSS {rss():.0f} MB")


class Encoder(nn.Module):
    def __init__(self, bert):
        super().__init__()
        self.bert = bert

    def forward(self, ids, mask):
        h = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        w = mask.unsqueeze(-1).to(h.dtype)
        return (h * w).sum(1) / w.sum(1).clamp(min=1e-9)


def onnx_session(model, ids, mask):
    import onnxruntime as ort
    folder = tempfile.mkdtemp()
    plain, fused = folder + "/plain.onnx", folder + "/fused.onnx"
    axes = {"ids": {0: "b", 1: "s"}, "mask": {0: "b", 1: "s"}}
    with torch.no_grad():
        torch.onnx.export(model, (ids, mask), plain, input_names=["ids", "mask"], output_names=["vectors"], dynamic_axes=axes,
                          opset_version=17, dynamo=False)
    from onnxruntime.transformers import optimizer
    optimizer.optimize_model(plain, model_type="bert", num_heads=HEADS, hidden_size=H, opt_level=1,
                             use_gpu=False).save_model_to_file(fused)
    options = ort.SessionOptions()
    options.intra_op_num_threads = a.threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(fused, options, providers=["CPUExecutionProvider"])
    feeds = {"ids": ids.numpy(), "mask": mask.numpy()}
    return lambda: session.run(None, feeds)


def encode():
    from transformers import BertConfig, BertModel
    config = BertConfig(vocab_size=V, hidden_size=H, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=4 * H)
    if a.backend == "onnxruntime":
        config._attn_implementation = "eager"  # what the exporter and the fusions know
    model = Encoder(BertModel(config, add_pooling_layer=False)).eval()
    chosen = [lengths[i % len(lengths)] for i in range(a.batch)]
    ids = torch.randint(0, V, (a.batch, max(chosen)))
    mask = (torch.arange(max(chosen))[None, :] < torch.tensor(chosen)[:, None]).long()
    if a.backend == "onnxruntime":
        run = onnx_session(model, ids, mask)
    else:
        call = torch.compile(model) if a.backend == "compile" else model

        def run():
            with torch.inference_mode():
                return call(ids, mask)

    median = timed(run, 5)
    print(f"encode_text[{a.backend},B={a.batch},lengths,T={a.threads}] {a.batch / median:.6g} sentences/s | "
          f"{median * 1e3:.2f} ms a batch, {sum(chosen)} tokens padded to {max(chosen)} each")


mlm() if a.job == "mlm" else encode()
