#!/usr/bin/env python3
"""Our metrics against scikit-learn's on random cases with ties and degenerate labels; and the speed of AUC.

  metrics_sklearn.py build/metrics_check [cases]   largest absolute difference of each metric; exit 1 above 1e-12
  metrics_sklearn.py --speed [rows]                seconds of roc_auc_score and average_precision_score (numpy and
                                                   scikit-learn run them on one thread); ours: build/metrics_bench
                                                   --benchmark_filter='auc/10000000'
  metrics_sklearn.py --fixed                       the expected values in tests/metrics_sklearn_test.cpp

What scikit-learn has no function for (normalised entropy, copc, ECE, MAP@k, DeLong's variance, ties by order in NDCG) is
compared with the formula written out in numpy. Scores are float32, so that ties are the same on both sides.
"""
import json
import subprocess
import sys
import time
import warnings

import numpy as np
import sklearn
from sklearn.calibration import calibration_curve
from sklearn.metrics import (average_precision_score, brier_score_loss, log_loss, ndcg_score, roc_auc_score)

LIMIT = 1e-12


def binary_case(rng, i):
    n = int(rng.choice([1, 2, 3, 5, 17, 100, 1000, 2000]))
    scores = np.clip(rng.normal(size=n) * 2, -6, 6).astype(np.float32)
    if i % 3 == 1:
        scores = np.round(scores * 2).astype(np.float32) / np.float32(2)  # many ties
    if i % 17 == 2:
        scores[:] = scores[0]
    labels = (rng.random(n) < 1 / (1 + np.exp(-scores.astype(float)))).astype(int)
    if i % 11 == 3:
        labels[:] = i % 2  # one class
    if i % 13 == 4:
        labels[:] = 0
        labels[rng.integers(n)] = 1  # one positive
    case = {"scores": scores.tolist(), "labels": labels.tolist(), "bins": int(rng.choice([1, 2, 5, 10, 20]))}
    if i % 2 == 1:
        case["weights"] = (rng.random(n).astype(np.float32) + np.float32(0.05)).tolist()
    return case


def graded_case(rng, _):
    lists = int(rng.integers(1, 20))
    groups = np.sort(rng.integers(0, lists, size=int(rng.integers(2, 300))))
    scores = rng.normal(size=len(groups)).astype(np.float32)
    if rng.random() < 0.5:
        scores = np.round(scores).astype(np.float32)
    grades = rng.integers(0, 5, size=len(groups)) * (rng.random(len(groups)) < rng.choice([0.05, 0.5, 1]))
    return {"scores": scores.tolist(), "grades": grades.tolist(), "groups": groups.tolist(),
            "k": int(rng.choice([0, 1, 5, 10]))}


def ece_of(y, p, w, edges):
    bins = np.searchsorted(edges[1:-1], p)
    total = sum(abs((w * (y - p))[bins == b].sum()) for b in range(len(edges) - 1))
    return total / w.sum()


def delong_oracle(y, s):
    pos, neg = s[y == 1], s[y == 0]
    if len(pos) < 2 or len(neg) < 2:
        return None
    psi = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
    v10, v01 = psi.mean(axis=1), psi.mean(axis=0)
    return [psi.mean(), v10.var(ddof=1) / len(pos) + v01.var(ddof=1) / len(neg)]


def binary_oracle(case):
    s = np.array(case["scores"], dtype=np.float32).astype(float)
    y = np.array(case["labels"])
    weighted = "weights" in case
    w = np.array(case["weights"], dtype=np.float32).astype(float) if weighted else np.ones(len(y))
    p = 1 / (1 + np.exp(-s))
    both = 0 < y.sum() < len(y)
    out = {"auc": roc_auc_score(y, s, sample_weight=w) if both else None,
           "pr_auc": average_precision_score(y, s, sample_weight=w) if y.sum() else None,
           "logloss": log_loss(y, p, labels=[0, 1], sample_weight=w),
           "brier": brier_score_loss(y, p, sample_weight=w, pos_label=1),
           "copc": (w * y).sum() / (w * p).sum()}
    out["streaming_auc"], out["streaming_pr_auc"] = out["auc"], out["pr_auc"]
    m = (w * y).sum() / w.sum()
    loss = (w * np.logaddexp(0, -s * (2 * y - 1))).sum() / w.sum()
    out["ne"] = loss / (-m * np.log(m) - (1 - m) * np.log1p(-m)) if both else None
    widths = np.linspace(0, 1, case["bins"] + 1)
    masses = np.percentile(p, widths * 100)
    out["ece"], out["ece_mass"] = ece_of(y, p, w, widths), ece_of(y, p, w, masses)
    out["streaming_ece"], out["streaming_ece_mass"] = out["ece"], out["ece_mass"]
    if not weighted:
        for strategy in ("uniform", "quantile"):
            rates, means = calibration_curve(y, p, n_bins=case["bins"], strategy=strategy) if both else one_class(
                y, p, widths if strategy == "uniform" else masses)
            out[strategy] = [rates.tolist(), means.tolist()]
        if len(y) <= 1000:
            out["delong"] = delong_oracle(y, s)
    return out


def one_class(y, p, edges):
    """calibration_curve refuses some labels of one class; the same bins."""
    bins = np.searchsorted(edges[1:-1], p)
    used = [b for b in range(len(edges) - 1) if (bins == b).any()]
    return (np.array([y[bins == b].mean() for b in used]), np.array([p[bins == b].mean() for b in used]))


def graded_oracle(case):
    s, g = np.array(case["scores"]), np.array(case["grades"], dtype=float)
    groups, k = np.array(case["groups"]), case["k"]
    sums = {"ndcg": [], "ndcg_exponential": [], "ndcg_by_order": [], "map": []}
    for group in np.unique(groups):
        ss, gg = s[groups == group], g[groups == group]
        if not gg.any():
            continue
        top = k or len(gg)
        order = np.argsort(-ss, kind="stable")
        discount = 1 / np.log2(np.arange(len(gg)) + 2)
        discount[top:] = 0
        sums["ndcg_by_order"].append((gg[order] * discount).sum() / (np.sort(gg)[::-1] * discount).sum())
        relevant = gg[order] > 0
        precision = np.cumsum(relevant) / np.arange(1, len(gg) + 1)
        sums["map"].append((precision * relevant)[:top].sum() / min(top, len(gg), relevant.sum()))
        for name, gains in (("ndcg", gg), ("ndcg_exponential", 2**gg - 1)):
            # ndcg_score takes no list of one row: its only order is the best
            sums[name].append(ndcg_score([gains], [ss], k=k or None) if len(gg) > 1 else 1.0)
    return {name: np.mean(v) if v else None for name, v in sums.items()}


def difference(ours, theirs):
    if ours is None or theirs is None:
        return 0.0 if ours is None and theirs is None else float("inf")
    a, b = np.array(ours, dtype=float), np.array(theirs, dtype=float)
    return float("inf") if a.shape != b.shape else float(np.abs(a - b).max(initial=0))


def compare(program, count):
    rng = np.random.default_rng(20260101)
    cases = [(binary_case if i % 4 else graded_case)(rng, i) for i in range(count)]
    text = "".join(json.dumps(c) + "\n" for c in cases)
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=True)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == count
    worst, compared, undefined = {}, {}, {}
    for case, ours in zip(cases, results):
        theirs = (graded_oracle if "grades" in case else binary_oracle)(case)
        for name, value in theirs.items():
            worst[name] = max(worst.get(name, 0.0), difference(ours[name], value))
            compared[name] = compared.get(name, 0) + 1
            undefined[name] = undefined.get(name, 0) + (value is None)
    print(f"scikit-learn {sklearn.__version__}, {count} cases")
    print(f"{'metric':20} {'cases':>6} {'undefined':>10}  largest difference")
    for name in sorted(worst):
        print(f"{name:20} {compared[name]:6} {undefined[name]:10}  {worst[name]:.3g}")
    return 0 if max(worst.values()) <= LIMIT else 1


def speed(rows):
    rng = np.random.default_rng(1)
    y = (rng.random(rows) < 0.25).astype(np.float32)
    s = (rng.normal(size=rows) + y).astype(np.float32)
    for name, f in (("roc_auc_score", roc_auc_score), ("average_precision_score", average_precision_score)):
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            f(y, s)
            best = min(best, time.perf_counter() - start)
        print(f"{name} of {rows} rows: {best:.3f} s (best of 3)")
    return 0


def fixed():
    """One case that needs no random numbers, so that the test can make it too."""
    i = np.arange(60)
    s = (((i * 37) % 23 - 11) / 4).astype(np.float32)
    y = ((i * 29) % 7 < 3).astype(int)
    w = (((i * 13) % 5 + 1) / 4).astype(np.float32)
    for weighted in (False, True):
        case = {"scores": s.tolist(), "labels": y.tolist(), "bins": 5}
        if weighted:
            case["weights"] = w.tolist()
        print("weighted" if weighted else "unweighted")
        for name, value in binary_oracle(case).items():
            if not name.startswith("streaming"):
                print(f"  {name}: {value!r}")
    grades, groups = (i * 17) % 4, i % 6
    for k in (0, 5):
        print("graded, k =", k, graded_oracle({"scores": np.floor(s).tolist(), "grades": grades, "groups": groups, "k": k}))
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    if sys.argv[1] == "--speed":
        sys.exit(speed(int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000))
    if sys.argv[1] == "--fixed":
        sys.exit(fixed())
    sys.exit(compare(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000))
