"""The loss curve of transformers' BertForMaskedLM from the initial weights and on the batches that build/mlm_curve left
in DIR (bench/mlm_curve.cpp), beside ours: AdamW, decay of matrices only, clipping by global norm, linear warm-up and
decay, no dropout. Prints both losses and the largest relative difference.

  build/mlm_curve examples/text/mlm.yaml DIR 200
  python mlm_curve.py DIR"""
import argparse
import json
import os

ap = argparse.ArgumentParser()
ap.add_argument("dir")
ap.add_argument("--threads", type=int, default=1)
a = ap.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)
os.environ["TRANSFORMERS_OFFLINE"] = "1"
import torch
from transformers import BertForMaskedLM

torch.set_num_threads(a.threads)
recipe = json.load(open(os.path.join(a.dir, "recipe.json")))
batches = [json.loads(line) for line in open(os.path.join(a.dir, "batches.jsonl"))]
ours = [json.loads(line)["loss"] for line in open(os.path.join(a.dir, "losses.jsonl"))]
model, info = BertForMaskedLM.from_pretrained(
    os.path.join(a.dir, "initial"), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, output_loading_info=True
)
assert not info["missing_keys"] and not info["unexpected_keys"], info
model.train()
matrices = [p for p in model.parameters() if p.dim() > 1]
vectors = [p for p in model.parameters() if p.dim() <= 1]
optimizer = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": recipe["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}],
    lr=recipe["learning_rate"],
    betas=(recipe["beta1"], recipe["beta2"]),
    eps=1e-8,
)
steps = recipe["steps"]
warmup = int(recipe["warmup_fraction"] * steps)


def rate(step):  # step counts from 1
    return step / warmup if step < warmup else (steps - step) / max(1, steps - warmup)


worst, worst_step = 0.0, 0
for step, (b, loss_here) in enumerate(zip(batches, ours), 1):
    longest = max(b["lengths"])
    ids = torch.zeros(len(b["lengths"]), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    label_of = dict(zip(b["places"], b["labels"]))
    at = 0
    for r, n in enumerate(b["lengths"]):
        ids[r, :n] = torch.tensor(b["ids"][at : at + n])
        mask[r, :n] = 1
        for i in range(n):
            if at + i in label_of:
                labels[r, i] = label_of[at + i]
        at += n
    for group in optimizer.param_groups:
        group["lr"] = recipe["learning_rate"] * rate(step)
    loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if recipe["clip_norm"] > 0:
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe["clip_norm"])
    optimizer.step()
    difference = abs(loss.item() - loss_here) / loss.item()
    if difference > worst:
        worst, worst_step = difference, step
    if step % 20 == 0 or step == 1:
        print(f"step {step}: ours {loss_here:.6f}, transformers {loss.item():.6f}, relative difference {difference:.2e}", flush=True)
print(f"{len(ours)} steps: largest relative difference of the loss {worst:.2e} (step {worst_step})")
