"""Does the calibration curve of a run lie within its bootstrap band?

python bench/peers/calibration_band.py RUN/predictions.safetensors [bins, default 20]   (needs numpy)
Bins of equal mass by predicted probability; d = observed rate - mean prediction. The band is simultaneous over the bins: c is
the 95 % quantile over 2,000 resamples of the rows of max_k |d*_k - d_k| / s_k, s_k the bootstrap deviation of bin k, and the
curve lies within the band when |d_k| <= c s_k in every bin. Pointwise intervals (1.96 s_k) are printed too: one of 20
is missed by chance."""
import json, struct, sys
import numpy as np

def tensors(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    types = {"F32": np.float32, "I64": np.int64, "I32": np.int32, "F64": np.float64}
    for name, t in json.loads(raw[8:8 + n]).items():
        if name != "__metadata__":
            b, e = t["data_offsets"]
            yield name, np.frombuffer(raw[8 + n + b:8 + n + e], dtype=types[t["dtype"]])

def main(path, bins):
    t = dict(tensors(path))
    p, y, w = 1 / (1 + np.exp(-t["logits"].astype(float))), t["labels"].astype(float), t["weights"].astype(float)
    order = np.argsort(p, kind="stable")
    p, y, w = p[order], y[order], w[order]
    edges = np.searchsorted(np.cumsum(w), np.linspace(0, w.sum(), bins + 1)[1:-1])
    parts = np.split(np.arange(len(p)), edges)
    rng = np.random.default_rng(1)
    d, s, draws = np.zeros(len(parts)), np.zeros(len(parts)), np.zeros((2000, len(parts)))
    for k, rows in enumerate(parts):  # bins are resampled on their own: their sizes are fixed by the predictions
        r = w[rows] * (y[rows] - p[rows])
        d[k] = r.sum() / w[rows].sum()
        for b in range(len(draws)):
            pick = rng.integers(0, len(rows), len(rows))
            draws[b, k] = r[pick].sum() / w[rows][pick].sum() - d[k]
    s = draws.std(axis=0)
    c = np.quantile(np.abs(draws / s).max(axis=1), 0.95)
    outside, pointwise = np.abs(d) > c * s, np.abs(d) > 1.96 * s
    for k, rows in enumerate(parts):
        print(f"prediction {np.average(p[rows], weights=w[rows]):.4f}  rate - prediction {d[k]:+.4f}  band +/- {c * s[k]:.4f}"
              + ("  OUTSIDE" if outside[k] else "  (outside the pointwise interval)" if pointwise[k] else ""))
    print(f"{len(p)} rows, {bins} bins, c = {c:.2f}: {outside.sum()} outside the simultaneous band, {pointwise.sum()} outside pointwise")
    return int(outside.any())

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20))
