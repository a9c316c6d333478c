#!/usr/bin/env python3
"""The cleaning of examples/ctr/online_retail.yaml with pandas, written apart from Winnow's: the same table must come out.

Usage: bench/peers/clean_online_retail.py ../shared/data/online_retail.csv.zst
Compare with: winnow data clean --config examples/ctr/online_retail.yaml
"""
import html
import io
import re
import subprocess
import sys
import unicodedata

import numpy as np
import pandas as pd


def read(path):
    if path.endswith(".zst"):
        text = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
        return pd.read_csv(io.BytesIO(text), dtype=str, keep_default_na=False)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def normal(text):
    text = unicodedata.normalize("NFKC", html.unescape(text))
    text = "".join(c for c in text if unicodedata.category(c) != "Cc" or c in "\t\n\r")
    return re.sub(r"\s+", " ", text).strip()


class Table:
    def __init__(self, rows):
        self.read, self.rows = len(rows), rows
        print(f"{'step':<12} {'column':<24} {'rows in':>12} {'dropped':>10} {'changed':>10} {'share':>8}")

    def line(self, step, column, rows_in, dropped, changed=0):
        print(f"{step:<12} {column:<24} {rows_in:>12} {dropped:>10} {changed:>10} {100 * dropped / rows_in:>7.3f}%")

    def drop(self, step, column, mask):
        self.line(step, column, len(self.rows), int(mask.sum()))
        self.rows = self.rows[~mask]


def taken_back(rows, cancelled):
    """Labels of the rows that a cancellation takes back: the latest earlier open one of its customer, item, quantity."""
    open_rows, taken = {}, []
    keys = zip(rows.index, cancelled, rows["CustomerID"], rows["StockCode"], rows["Quantity"].astype(float).abs())
    for index, is_cancelled, customer, item, quantity in keys:
        if customer == "" or item == "":
            continue
        stack = open_rows.setdefault((customer, item, quantity), [])
        if not is_cancelled:
            stack.append(index)
        elif stack:
            taken.append(stack.pop())
    return taken


def log_fences(column, k):
    logs = np.log1p(column.abs()) * np.sign(column)
    q1, q3 = np.quantile(logs, 0.25), np.quantile(logs, 0.75)
    return (logs < q1 - k * (q3 - q1)) | (logs > q3 + k * (q3 - q1))


def main(path):
    t = Table(read(path))
    before = t.rows["Description"]
    t.rows = t.rows.assign(Description=before.map(normal))
    t.line("text", "Description", len(before), 0, int((before != t.rows["Description"]).sum()))
    t.drop("duplicates", "(all)", t.rows.duplicated())
    rows_in, cancelled = len(t.rows), t.rows["InvoiceNo"].str.startswith("C")
    taken = t.rows.index.isin(taken_back(t.rows, cancelled))
    t.line("cancelled", "InvoiceNo", rows_in, int(cancelled.sum()))
    t.line("cancelled", "(taken back)", rows_in, int(taken.sum()))
    t.rows = t.rows[~cancelled & ~taken]
    t.drop("impossible", "Quantity", t.rows["Quantity"].astype(float) < 1)
    t.drop("impossible", "UnitPrice", t.rows["UnitPrice"].astype(float) < 0.01)
    t.drop("missing", "CustomerID", t.rows["CustomerID"] == "")
    t.drop("outliers", "Quantity", log_fences(t.rows["Quantity"].astype(float), 3))
    t.drop("outliers", "UnitPrice", log_fences(t.rows["UnitPrice"].astype(float), 5))
    t.line("all", "", t.read, t.read - len(t.rows))


if __name__ == "__main__":
    main(sys.argv[1])
