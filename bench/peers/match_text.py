#!/usr/bin/env python3
"""The peer of `winnow train match` on banking77: sentence-transformers with MultipleNegativesRankingLoss, the same
encoder, pairs, batch, rate and schedule. A question is paired with another of its intent, drawn anew each epoch; the
test questions are looked up among all training questions.

  match_text.py --model all-MiniLM-L6-v2 --data data_cache/banking77 --epochs 1 --seed 1
"""
import argparse
import csv
import json
import random
import time

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

try:
    from sentence_transformers.losses import MultipleNegativesRankingLoss
except ImportError:  # moved in version 6
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss


def read(path):
    if path.endswith(".zst"):
        import io
        import subprocess

        text = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout.decode()
        rows = list(csv.DictReader(io.StringIO(text)))
    else:
        with open(path, newline="") as f:
            rows = list(csv.DictReader(f))
    return [r["text"] for r in rows], [r["category"] for r in rows]


def evaluate(model, train, test):
    items = model.encode(train[0], batch_size=128, normalize_embeddings=True)
    queries = model.encode(test[0], batch_size=128, normalize_embeddings=True)
    labels = np.array(train[1])
    top = np.argsort(-(queries @ items.T), axis=1, kind="stable")[:, :10]
    hits = labels[top] == np.array(test[1])[:, None]
    first = np.where(hits.any(1), hits.argmax(1) + 1, np.inf)
    return {"hr@1": float(hits[:, 0].mean()), "hr@10": float(hits.any(1).mean()), "mrr@10": float((1 / first).mean()),
            "precision@10": float(hits.mean())}


def train_model(model, data, args):
    texts, labels = data
    rng = random.Random(args.seed)
    torch.manual_seed(args.seed)
    by_label = {}
    for i, label in enumerate(labels):
        by_label.setdefault(label, []).append(i)
    loss_of = MultipleNegativesRankingLoss(model, scale=1 / args.temperature)
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1]
    others = [p for n, p in model.named_parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}], lr=args.lr
    )
    steps = args.epochs * ((len(texts) + args.batch - 1) // args.batch)

    warmup = int(0.1 * steps)

    def rate(step):
        step += 1
        return step / warmup if step < warmup else 1 - (step - warmup) / max(1, steps - warmup)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    model.train()
    start = time.time()
    for epoch in range(args.epochs):
        order = list(range(len(texts)))
        rng.shuffle(order)
        for begin in range(0, len(order), args.batch):
            rows = order[begin : begin + args.batch]
            partners = []
            for r in rows:
                other = r
                while other == r:
                    other = rng.choice(by_label[labels[r]])
                partners.append(other)
            features = [model.tokenize([texts[i] for i in part]) for part in (rows, partners)]
            loss = loss_of(features, None)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if begin // args.batch % 20 == 0:
                print(f"epoch {epoch + 1} row {begin}: loss {loss.item():.4f}, {time.time() - start:.0f} s", flush=True)
    return time.time() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--test", default="test.csv")
    parser.add_argument("--train", default="train.csv")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument("--temperature", type=float, default=0.05)
    parser.add_argument("--max-len", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    train, test = read(f"{args.data}/{args.train}"), read(f"{args.data}/{args.test}")
    model = SentenceTransformer(args.model, device="cpu")
    model.max_seq_length = args.max_len
    print(json.dumps({"zero_shot": evaluate(model, train, test)}), flush=True)
    if args.epochs > 0:
        seconds = train_model(model, train, args)
        model.eval()
        print(json.dumps({"fine_tuned": evaluate(model, train, test), "seconds": seconds, "seed": args.seed}))


if __name__ == "__main__":
    main()
