"""LightGBM's lambdarank on files of its own layout, beside scores of `winnow rank`.

python bench/peers/rank_lightgbm.py --data data_cache/letor --seeds 1 2 3 4 5 [--scores scores-1.csv scores-2.csv ...]

A fifth of the training queries, drawn by the seed, stops the training, as in `winnow train rank`. "example": the
settings of LightGBM's own examples/lambdarank/train.conf; "default": those of the library. "8 seeds": the mean score
of eight models that differ in their bagging and feature seeds. All measures leave out queries without a grade above 0.
Needs lightgbm, numpy, scikit-learn.
"""
import argparse
import csv

import lightgbm as lgb
import numpy as np
from sklearn.datasets import load_svmlight_file

EXAMPLE = dict(learning_rate=0.1, num_leaves=31, max_bin=255, min_data_in_leaf=50, min_sum_hessian_in_leaf=5.0,
               bagging_fraction=0.9, bagging_freq=1)


def load(folder, name, width):
    x, y = load_svmlight_file(f"{folder}/{name}", n_features=width)
    return x.toarray(), y, np.loadtxt(f"{folder}/{name}.query", dtype=int)


def ndcg(scores, labels, sizes, k):
    out, at = [], 0
    for n in sizes:
        s, y = scores[at:at + n], labels[at:at + n]
        at += n
        discount = 1 / np.log2(np.arange(min(k, n)) + 2)
        best = ((2.0 ** np.sort(y)[::-1] - 1)[:k] * discount).sum()
        if best > 0:
            out.append(((2.0 ** y[np.argsort(-s, kind="stable")] - 1)[:k] * discount).sum() / best)
    return np.array(out)


def train(data, seed, settings, members):
    x, y, sizes = data
    begin = np.concatenate([[0], np.cumsum(sizes)])
    order = np.random.default_rng(seed).permutation(len(sizes))
    held = len(sizes) // 5
    part = lambda queries: np.concatenate([np.arange(begin[q], begin[q + 1]) for q in queries])
    valid, rest = np.sort(order[:held]), np.sort(order[held:])
    sets = [lgb.Dataset(x[part(q)], y[part(q)], group=sizes[q], free_raw_data=False) for q in (rest, valid)]
    models = []
    for member in range(members):
        parameters = dict(objective="lambdarank", metric="ndcg", eval_at=[10], verbose=-1, num_threads=1,
                          seed=100 * seed + member, **settings)
        if members > 1 and "bagging_fraction" not in settings:
            parameters.update(feature_fraction=0.8)
        models.append(lgb.train(parameters, sets[0], 500, valid_sets=[sets[1]],
                                callbacks=[lgb.early_stopping(50, verbose=False)]))
    return lambda test: np.mean([m.predict(test) for m in models], axis=0)


def line(name, per_seed):
    mean = np.mean([[q.mean() for q in seed] for seed in per_seed], axis=0)
    each = " / ".join(f"{seed[-1].mean():.4f}" for seed in per_seed)
    print(f"{name:<22} ndcg@1 {mean[0]:.4f}  ndcg@5 {mean[1]:.4f}  ndcg@10 {mean[2]:.4f}  by seed {each}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--scores", nargs="*", default=[], help="CSV of `winnow rank` on rank.test, one a seed")
    a = parser.parse_args()
    data = load(a.data, "rank.train", 301)
    x, y, sizes = load(a.data, "rank.test", 301)
    measure = lambda scores: [ndcg(scores, y, sizes, k) for k in (1, 5, 10)]
    results = {}
    for name, settings, members in (("example", EXAMPLE, 1), ("default", {}, 1), ("example, 8 seeds", EXAMPLE, 8)):
        results[name] = [measure(train(data, seed, settings, members)(x)) for seed in a.seeds]
        line(name, results[name])
    if not a.scores:
        return
    ours = [measure(np.array([float(r["score"]) for r in csv.DictReader(open(path))])) for path in a.scores]
    line("winnow", ours)
    rng = np.random.default_rng(1)
    mine = np.mean([seed[-1] for seed in ours], axis=0)
    for name, result in results.items():
        difference = mine - np.mean([seed[-1] for seed in result], axis=0)
        means = [difference[rng.integers(0, len(difference), len(difference))].mean() for _ in range(10000)]
        low, high = np.quantile(means, [0.025, 0.975])
        print(f"winnow - {name:<17} ndcg@10 {difference.mean():+.4f} [{low:+.4f}, {high:+.4f}], paired by query")


if __name__ == "__main__":
    main()
