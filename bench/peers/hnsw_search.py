"""hnswlib on the vectors that bench/topk_bench.cpp draws in kind: 1000 centres, spread .7, length 1, inner product.
Prints `name[config] value unit | details`: the build, and the search at the smallest ef whose recall reaches --recall."""
import argparse
import time

import hnswlib
import numpy as np

EFS = (10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--n", type=int, default=200000)
    p.add_argument("--d", type=int, default=128)
    p.add_argument("--k", type=int, default=10)
    p.add_argument("--m", type=int, default=16)
    p.add_argument("--ef-construction", type=int, default=200)
    p.add_argument("--recall", type=float, default=0.97)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seconds", type=float, default=6)
    a = p.parse_args()
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((1000, a.d), dtype=np.float32)

    def draw(n):
        x = centres[rng.integers(0, 1000, n)] + 0.7 * rng.standard_normal((n, a.d), dtype=np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    rows, queries = draw(a.n), draw(1000)
    expected = [set(np.argpartition(-(rows @ q), a.k)[: a.k]) for q in queries]
    index = hnswlib.Index("ip", a.d)
    index.init_index(a.n, M=a.m, ef_construction=a.ef_construction)
    index.set_num_threads(a.threads)
    start, cpu = time.perf_counter(), time.process_time()
    index.add_items(rows)
    built, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"ann_build[hnswlib,{a.n}x{a.d},M={a.m},efc={a.ef_construction},T={a.threads}] {built:.2f} s | {cpu:.2f} of the processor; {a.n / built:.0f} vectors/s")
    for ef in EFS:
        index.set_ef(ef)
        found = index.knn_query(queries, a.k)[0]
        recall = np.mean([len(e & set(f)) / a.k for e, f in zip(expected, found)])
        if recall < a.recall:
            continue
        times, cpu = [], time.process_time()
        while sum(times) < a.seconds or len(times) < 3:
            start = time.perf_counter()
            index.knn_query(queries, a.k)
            times.append(time.perf_counter() - start)
        cpu = (time.process_time() - cpu) / len(times) / len(queries)
        print(f"ann_search[hnswlib,ef={ef},recall@{a.k}={recall:.3f},T={a.threads}] {len(queries) / np.median(times):.0f} queries/s | {cpu * 1e6:.1f} us of the processor a query")
        return
    print(f"# recall never reached {a.recall}")


main()
