"""Training steps in PyTorch on a CUDA device, of the shapes that stepbench and textbench run with --device cuda: a
DeepFM, or its FM alone, on 26 sparse ids and 13 numbers a row, and masked language models. Eager and compiled; the
median step.

  python gpu_steps.py deepfm --batch 4096 --rows 1e7
  python gpu_steps.py mlm --config base --batch 32"""
import argparse
import statistics
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

ap = argparse.ArgumentParser()
ap.add_argument("job", choices=["deepfm", "fm", "mlm"])
ap.add_argument("--config", default="minilm", choices=["tiny", "mini", "minilm", "base"])
ap.add_argument("--batch", type=int, default=0)
ap.add_argument("--rows", type=float, default=1e6)
ap.add_argument("--dim", type=int, default=16)
ap.add_argument("--compile", action="store_true")
ap.add_argument("--precision", default="f32", choices=["f32", "tf32", "bf16"])  # bf16: autocast
ap.add_argument("--seconds", type=float, default=3)
a = ap.parse_args()
torch.manual_seed(0)
torch.backends.cuda.matmul.allow_tf32 = a.precision == "tf32"
autocast = torch.autocast("cuda", torch.bfloat16, enabled=a.precision == "bf16")
cuda = torch.device("cuda")


class Layer(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x):
        b, t, h = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, h // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, h)
        x = self.norm1(x + F.dropout(self.out(y), 0.1, self.training))
        return self.norm2(x + F.dropout(self.down(F.gelu(self.up(x))), 0.1, self.training))


class Mlm(nn.Module):
    def __init__(self, layers, hidden, heads, length, vocabulary):
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, hidden), nn.Embedding(512, hidden)
        self.norm, self.length = nn.LayerNorm(hidden), length
        self.layers = nn.ModuleList([Layer(hidden, heads) for _ in range(layers)])
        self.dense, self.head_norm, self.bias = nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.Parameter(torch.zeros(vocabulary))

    def forward(self, ids, at, labels):
        x = F.dropout(self.norm(self.words(ids) + self.places.weight[: self.length]), 0.1, self.training)
        for layer in self.layers:
            x = layer(x)
        x = self.head_norm(F.gelu(self.dense(x.reshape(-1, x.shape[-1]).index_select(0, at))))
        return F.cross_entropy(F.linear(x, self.words.weight, self.bias), labels)


class DeepFm(nn.Module):
    def __init__(self, fields, dense, dim):
        super().__init__()
        sizes, blocks = [fields * dim + dense, 1024, 512, 256], []
        for i, o in zip(sizes, sizes[1:]):
            blocks += [nn.Linear(i, o), nn.ReLU()]
        self.linear = nn.Linear(dense, 1)
        self.deep = nn.Sequential(*blocks, nn.Linear(256, 1)) if a.job == "deepfm" else None

    def forward(self, e, x, wide, y):
        s = e.sum(1)
        fm = 0.5 * (s * s - (e * e).sum(1)).sum(1)
        logit = self.linear(x).squeeze(1) + wide.sum((1, 2)) + fm
        if self.deep is not None:
            logit = logit + self.deep(torch.cat([e.flatten(1), x], 1)).squeeze(1)
        return F.binary_cross_entropy_with_logits(logit, y)


def mlm_step():
    layers, hidden, heads, length, batch = {"tiny": (2, 128, 2, 128, 32), "mini": (4, 256, 4, 128, 32), "minilm": (6, 384, 12, 128, 16), "base": (12, 768, 12, 128, 8)}[a.config]
    batch = a.batch or batch
    model = Mlm(layers, hidden, heads, length, 30522).to(cuda)
    n = batch * length
    masked = int(0.15 * n)
    ids, at = torch.randint(0, 30522, (batch, length), device=cuda), torch.randperm(n, device=cuda)[:masked].sort().values
    labels = torch.randint(0, 30522, (masked,), device=cuda)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    run = torch.compile(model) if a.compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            loss = run(ids, at, labels)
        loss.backward()
        optimizer.step()

    return step, n, "tokens/s"


def deepfm_step():
    fields, dense, rows, batch = 26, 13, int(a.rows), a.batch or 2048
    rng = np.random.default_rng(0)
    weights = np.geomspace(1, 1e5, fields)
    sizes = np.maximum(4, (weights / weights.sum() * rows)).astype(np.int64)
    sizes[-1] += rows - sizes.sum()
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def ids_of(field):
        u, n, s = rng.random(batch), int(sizes[field]), 1.05
        x = ((n ** (1 - s) - 1) * u + 1) ** (1 / (1 - s))
        rank = np.minimum(x.astype(np.int64) - 1, n - 1)
        return (rank * 2654435761 % n) + first[field]

    batches = [(torch.from_numpy(np.stack([ids_of(f) for f in range(fields)], 1)).pin_memory(), torch.randn(batch, dense).pin_memory(), (torch.rand(batch) < 0.25).float().pin_memory()) for _ in range(8)]
    tables = [nn.Embedding(rows, d, sparse=True).to(cuda) for d in (a.dim, 1)]
    model = DeepFm(fields, dense, a.dim).to(cuda)
    optimizers = [torch.optim.Adam(model.parameters(), lr=1e-3, fused=True), torch.optim.Adagrad([t.weight for t in tables], lr=1e-2)]
    run = torch.compile(model) if a.compile else model
    count = [0]

    def step():
        ids, x, y = (t.to(cuda, non_blocking=True) for t in batches[count[0] % 8])
        count[0] += 1
        for o in optimizers:
            o.zero_grad(set_to_none=True)
        with autocast:
            loss = run(tables[0](ids), x, tables[1](ids), y)
        loss.backward()
        for o in optimizers:
            o.step()

    return step, batch, "samples/s"


step, units, name = mlm_step() if a.job == "mlm" else deepfm_step()
for _ in range(6):
    step()
torch.cuda.synchronize()
times, end = [], time.perf_counter() + a.seconds
while time.perf_counter() < end or len(times) < 10:
    start = time.perf_counter()
    step()
    torch.cuda.synchronize()
    times.append(time.perf_counter() - start)
median = statistics.median(times)
print(f"torch {a.job} {a.config if a.job == 'mlm' else ''} batch {units} {'compiled' if a.compile else 'eager'} {a.precision}: {units / median:.6g} {name}, step {median * 1e3:.3f} ms, {torch.cuda.max_memory_allocated() / 1e6:.0f} MB")
