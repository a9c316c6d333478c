"""Item-to-item candidates of MovieLens-100k by implicit's item-kNN models, measured as `winnow candidates evaluate`.

    python bench/peers/item_knn.py --inter data_cache/ml-100k/ml-100k.inter [--split leave_last_out] [--implicit]

The split and the label of examples/ctr/movielens100k.yaml: rows by time, 80/10/10; a rating of 4 or more is a like. The
history of a user is what they liked before the test split; everything rated before is left out of the ranking.
--implicit: ratings below 4 are dropped first. Needs numpy, scipy, pandas, implicit."""
import argparse
import time

import numpy as np
import pandas as pd
import scipy.sparse as sp
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender


def read(arguments):
    rows = pd.read_csv(arguments.inter, sep="\t")
    rows.columns = [c.split(":")[0] for c in rows.columns]
    if arguments.implicit:
        rows = rows[rows.rating >= 4].reset_index(drop=True)
    rows = rows.sort_values("timestamp", kind="stable").reset_index(drop=True)
    rows["user"] = rows.user_id.astype("category").cat.codes
    rows["item"] = rows.item_id.astype("category").cat.codes
    if arguments.split == "time":
        return rows.iloc[: int(0.9 * len(rows))], rows.iloc[int(0.9 * len(rows)):], rows
    last = rows.groupby("user").cumcount(ascending=False) == 0
    alone = rows.groupby("user").user.transform("size") < 3
    return rows[~last | alone], rows[last & ~alone], rows


def measure(name, top, truth, seconds, ks):
    """top[user]: items, best first."""
    recall = {k: [] for k in ks}
    ndcg = []
    for user, positives in truth.items():
        hits = np.isin(top[user], positives)
        for k in ks:
            recall[k].append(hits[:k].sum() / len(positives))
        best = (1 / np.log2(np.arange(min(ks[0], len(positives))) + 2)).sum()
        ndcg.append((hits[: ks[0]] / np.log2(np.arange(len(hits[: ks[0]])) + 2)).sum() / best)
    line = "".join(f"  recall@{k} {np.mean(recall[k]):.4f}" for k in ks)
    print(f"{name:<22}{line}  ndcg@{ks[0]} {np.mean(ndcg):.4f}  {1e3 * seconds / len(truth):.3f} ms a user", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inter", required=True)
    parser.add_argument("--split", choices=["time", "leave_last_out"], default="time")
    parser.add_argument("--implicit", action="store_true")
    parser.add_argument("--neighbours", type=int, default=200)
    arguments = parser.parse_args()
    ks = [10, 100, 500]
    before, test, rows = read(arguments)
    users, items = rows.user.max() + 1, rows.item.max() + 1

    def matrix(r):
        m = sp.csr_matrix((np.ones(len(r), np.float32), (r.user, r.item)), shape=(users, items))
        m.data[:] = 1
        return m

    liked, seen = matrix(before[before.rating >= 4]), matrix(before)
    truth = {}
    for user, group in test[test.rating >= 4].groupby("user"):
        positives = np.setdiff1d(group.item.unique(), seen[user].indices)
        if len(positives):
            truth[user] = positives
    print(f"{len(truth)} users with a positive in the test split, {items} items")
    for name, model in (("implicit cosine", CosineRecommender(K=arguments.neighbours + 1)),
                        ("implicit bm25", BM25Recommender(K=arguments.neighbours + 1)),
                        ("implicit tfidf", TFIDFRecommender(K=arguments.neighbours + 1))):
        model.fit(liked, show_progress=False)
        start = time.perf_counter()
        top = {}
        for user in truth:
            barred = np.setdiff1d(seen[user].indices, liked[user].indices)
            found, scores = model.recommend(user, liked[user], N=ks[-1], filter_already_liked_items=True,
                                            filter_items=barred if len(barred) else None)
            top[user] = found[scores > 0]
        measure(name, top, truth, time.perf_counter() - start, ks)
    popular = np.argsort(-np.asarray(liked.sum(0)).ravel(), kind="stable")
    measure("popularity", {u: popular[~np.isin(popular, seen[u].indices)][: ks[-1]] for u in truth}, truth, 0, ks)


if __name__ == "__main__":
    main()
