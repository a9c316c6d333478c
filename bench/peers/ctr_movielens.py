"""CTR models in PyTorch on MovieLens-100k: the quality that Winnow's models are compared with.

Data: the RecBole atomic files <data>/ml-100k.{inter,user,item} (inside the wheel recbole==1.2.1, folder
recbole/dataset_example/ml-100k). Label: rating >= 4. Split by time 80/10/10: stable sort by timestamp, ties in file
order, boundaries floor(0.8 n) and floor(0.9 n). Eight fields, all categorical: user_id, age, gender, occupation,
zip_code, item_id, release_year, genres (several values: their embeddings are AVERAGED). Vocabulary per field from the
training split, by frequency then text; row 0 = padding (always zero), last row = unseen value.

Models (FuxiCTR's definitions): LR sum of one-dimensional embeddings + bias; FM = LR + pairwise inner products;
DNN = MLP over the concatenated embeddings; DeepFM = FM + DNN; DCNv2 parallel: [cross layers | MLP] -> linear.
Training (BARS recipe): loss = mean BCE + embedding_regularizer / 2 * sum of squares of the whole tables, the LR
tables included; Adam; gradients clipped to a global norm; validation AUC every epoch; no gain above 1e-6: lr * 0.1
(minimum 1e-6), after two in a row stop; the best epoch's weights are restored for the test.

Needs torch, numpy, scikit-learn. Example:
  python bench/peers/ctr_movielens.py --data ml-100k --models LR FM DNN DeepFM DCNv2 --seeds 1 2 3
Prints JSON lines: one of the data, one for each trivial baseline, one a run, one a summary over seeds.
"""
import argparse
import json
import math
import os
import sys
import time
from collections import Counter

FIELDS = ["user_id", "age", "gender", "occupation", "zip_code", "item_id", "release_year", "genres"]
MODELS = ["LR", "FM", "DNN", "DeepFM", "DCNv2"]


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True, help="folder with ml-100k.inter, .user, .item")
    p.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    p.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    p.add_argument("--embedding-dim", type=int, default=16)
    p.add_argument("--hidden-units", type=lambda s: [int(x) for x in s.split(",")], default=[256, 128, 64])
    p.add_argument("--num-cross-layers", type=int, default=3)
    p.add_argument("--net-dropout", type=float, default=0.0)
    p.add_argument("--batch-norm", action="store_true")
    p.add_argument("--embedding-regularizer", nargs="+", type=float, default=[1e-5], help="several: one run for each")
    p.add_argument("--learning-rate", type=float, default=1e-3)
    p.add_argument("--batch-size", type=int, default=1024)
    p.add_argument("--epochs", type=int, default=30)
    p.add_argument("--patience", type=int, default=2)
    p.add_argument("--max-gradient-norm", type=float, default=10.0)
    p.add_argument("--threads", type=int, default=1)
    return p.parse_args()


args = arguments()
os.environ["OMP_NUM_THREADS"] = str(args.threads)
import numpy as np  # noqa: E402
import torch  # noqa: E402
from sklearn.metrics import log_loss, roc_auc_score  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


def read_table(path):
    with open(path, encoding="utf-8") as f:
        header = [c.split(":")[0] for c in f.readline().rstrip("\n").split("\t")]
        return [dict(zip(header, line.rstrip("\n").split("\t"))) for line in f]


def load(folder):
    """Rows in time order: a dict of field -> list of value lists, the labels, the split boundaries."""
    part = lambda suffix: read_table(os.path.join(folder, "ml-100k." + suffix))
    users = {r["user_id"]: r for r in part("user")}
    items = {r["item_id"]: r for r in part("item")}
    rows = part("inter")
    rows.sort(key=lambda r: int(float(r["timestamp"])))  # list.sort is stable
    values = {f: [] for f in FIELDS}
    for r in rows:
        u, i = users[r["user_id"]], items[r["item_id"]]
        for f in ("user_id", "age", "gender", "occupation", "zip_code"):
            values[f].append([u[f]])
        values["item_id"].append([i["item_id"]])
        values["release_year"].append([i["release_year"]])
        values["genres"].append(i["class"].split())
    labels = np.array([float(r["rating"]) >= 4 for r in rows], np.float32)
    n = len(rows)
    return values, labels, (n * 8 // 10, n * 9 // 10, n)


def encode(values, train_end):
    """Row ids in one table for all fields: [n, width] per field, padded with row 0 (shared by all fields)."""
    ids, sizes, offset = {}, {}, 1
    for f in FIELDS:
        counts = Counter(v for row in values[f][:train_end] for v in row)
        vocabulary = {v: offset + k for k, (v, _) in enumerate(sorted(counts.items(), key=lambda kv: (-kv[1], kv[0])))}
        oov = offset + len(vocabulary)
        width = max(len(row) for row in values[f])
        ids[f] = np.zeros((len(values[f]), width), np.int64)
        for r, row in enumerate(values[f]):
            ids[f][r, : len(row)] = [vocabulary.get(v, oov) for v in row]
        sizes[f] = {"vocabulary": len(vocabulary), "unseen_in_test": 0, "oov": oov}
        offset = oov + 1
    return ids, sizes, offset


class Embedding(nn.Module):
    """[B, fields, dim]; a field with several values is the mean of those present."""

    def __init__(self, rows, dim):
        super().__init__()
        self.table = nn.Embedding(rows, dim, padding_idx=0)
        nn.init.normal_(self.table.weight, std=1e-4)
        with torch.no_grad():
            self.table.weight[0].zero_()

    def forward(self, single, bag, inverse_length):
        pooled = self.table(bag).sum(1) * inverse_length
        return torch.cat([self.table(single), pooled.unsqueeze(1)], 1)


def mlp(inputs, hidden_units):
    layers = []
    for units in hidden_units:
        layers.append(nn.Linear(inputs, units))
        if args.batch_norm:
            layers.append(nn.BatchNorm1d(units))
        layers.append(nn.ReLU())
        if args.net_dropout > 0:
            layers.append(nn.Dropout(args.net_dropout))
        inputs = units
    return nn.Sequential(*layers)


class Model(nn.Module):
    def __init__(self, name, rows):
        super().__init__()
        self.name = name
        width = len(FIELDS) * args.embedding_dim
        self.tables = nn.ModuleDict()
        if name in ("LR", "FM", "DeepFM"):
            self.tables["linear"] = Embedding(rows, 1)
            self.bias = nn.Parameter(torch.zeros(1))
        if name != "LR":
            self.tables["factors"] = Embedding(rows, args.embedding_dim)
        if name in ("DNN", "DeepFM", "DCNv2"):
            self.deep = mlp(width, args.hidden_units)
            self.output = nn.Linear(args.hidden_units[-1] + (width if name == "DCNv2" else 0), 1)
        if name == "DCNv2":
            self.cross = nn.ModuleList(nn.Linear(width, width) for _ in range(args.num_cross_layers))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, *batch):
        logits = 0
        if "linear" in self.tables:
            logits = self.tables["linear"](*batch).sum((1, 2)) + self.bias
        if "factors" not in self.tables:
            return logits
        e = self.tables["factors"](*batch)
        if self.name in ("FM", "DeepFM"):
            total = e.sum(1)
            logits = logits + 0.5 * (total * total - (e * e).sum(1)).sum(1)
        if self.name == "FM":
            return logits
        x0 = e.flatten(1)
        h = self.deep(x0)
        if self.name == "DCNv2":
            x = x0
            for layer in self.cross:
                x = x + x0 * layer(x)
            h = torch.cat([x, h], 1)
        return logits + self.output(h).squeeze(1)

    def penalty(self):
        return 0.5 * sum(t.table.weight.square().sum() for t in self.tables.values())


@torch.no_grad()
def evaluate(model, features, labels, begin, end):
    model.eval()
    logits = torch.cat([model(*[x[b : min(b + 8192, end)] for x in features]) for b in range(begin, end, 8192)])
    p = torch.sigmoid(logits.double()).numpy()
    y = labels[begin:end].numpy()
    return {"auc": roc_auc_score(y, p), "logloss": log_loss(y, p)}


def train(name, seed, regularizer, features, labels, ends, rows):
    torch.manual_seed(seed)
    model = Model(name, rows)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
    best, best_epoch, best_state, bad, begun = -math.inf, 0, None, 0, time.time()
    for epoch in range(1, args.epochs + 1):
        model.train()
        for index in torch.randperm(ends[0]).split(args.batch_size):
            loss = F.binary_cross_entropy_with_logits(model(*[x[index] for x in features]), labels[index])
            if regularizer > 0:
                loss = loss + regularizer * model.penalty()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), args.max_gradient_norm)
            optimizer.step()
        auc = evaluate(model, features, labels, ends[0], ends[1])["auc"]
        if auc > best + 1e-6:
            best, best_epoch, bad = auc, epoch, 0
            best_state = {k: v.clone() for k, v in model.state_dict().items()}
            continue
        bad += 1
        for group in optimizer.param_groups:
            group["lr"] = max(group["lr"] * 0.1, 1e-6)
        if bad >= args.patience:
            break
    model.load_state_dict(best_state)
    valid, test = (evaluate(model, features, labels, ends[k], ends[k + 1]) for k in (0, 1))
    return {"valid_auc": valid["auc"], "valid_logloss": valid["logloss"], "test_auc": test["auc"],
            "test_logloss": test["logloss"], "best_epoch": best_epoch, "epochs": epoch,
            "seconds": round(time.time() - begun, 1)}


def emit(record):
    print(json.dumps({k: round(v, 6) if isinstance(v, float) and abs(v) > 1e-3 else v for k, v in record.items()}))
    sys.stdout.flush()


def baselines(values, labels, ends):
    """Global mean; smoothed click rate (clicks + 20 mean) / (count + 20) and log(1 + clicks) of the item."""
    items = np.array([row[0] for row in values["item_id"]])
    mean = float(labels[: ends[0]].mean())
    seen, clicks = Counter(items[: ends[0]]), Counter(items[: ends[0]][labels[: ends[0]] > 0])
    test, y = items[ends[1] :], labels[ends[1] :]
    rate = np.array([(clicks[i] + 20 * mean) / (seen[i] + 20) for i in test])
    count = np.array([clicks[i] for i in test], np.float64)
    emit({"baseline": "global_mean", "test_auc": 0.5, "test_logloss": log_loss(y, np.full(len(y), mean))})
    emit({"baseline": "item_rate", "test_auc": roc_auc_score(y, rate), "test_logloss": log_loss(y, rate)})
    emit({"baseline": "item_count", "test_auc": roc_auc_score(y, count)})


def main():
    torch.set_num_threads(args.threads)
    values, labels, ends = load(args.data)
    ids, sizes, rows = encode(values, ends[0])
    for f in FIELDS:
        sizes[f]["unseen_in_test"] = int((ids[f][ends[1] :] == sizes[f].pop("oov")).any(1).sum())
    emit({"rows": ends[2], "train": ends[0], "valid": ends[1] - ends[0], "test": ends[2] - ends[1],
          "positives": [int(labels[a:b].sum()) for a, b in ((0, ends[0]), ends[:2], ends[1:])],
          "table_rows": rows, "fields": sizes})
    baselines(values, labels, ends)
    bag = torch.from_numpy(ids["genres"])
    features = [torch.from_numpy(np.concatenate([ids[f] for f in FIELDS if f != "genres"], 1)), bag,
                1.0 / (bag != 0).sum(1, keepdim=True).clamp(min=1)]
    labels = torch.from_numpy(labels)
    for name in args.models:
        for regularizer in args.embedding_regularizer:
            runs = []
            for seed in args.seeds:
                runs.append(train(name, seed, regularizer, features, labels, ends, rows))
                emit({"model": name, "embedding_regularizer": regularizer, "seed": seed, **runs[-1]})
            emit({"model": name, "embedding_regularizer": regularizer, "summary": "mean over seeds",
                  **{k: float(np.mean([r[k] for r in runs])) for k in
                     ("valid_auc", "valid_logloss", "test_auc", "test_logloss", "best_epoch", "seconds")}})


main()
