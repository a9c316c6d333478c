"""Reads a CSV file into typed columns in memory with pandas (C engine) and pyarrow.csv, beside bench/csv_bench.

  read_csv.py FILE [--threads 2] [--repeat 3] [--only pandas|pyarrow]

Prints MB/s and CPU seconds of each run, then the column sums (of texts: of their lengths), which must agree with
csv_bench's."""
import argparse
import os
import resource
import time

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--repeat", type=int, default=3)
parser.add_argument("--only", choices=["pandas", "pyarrow"])
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

import pandas
import pyarrow
import pyarrow.compute
import pyarrow.csv

pyarrow.set_cpu_count(args.threads)
pyarrow.set_io_thread_count(1)
megabytes = os.path.getsize(args.file) / 1e6


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(name, read):
    for _ in range(args.repeat):
        begun, cpu_begun = time.perf_counter(), cpu()
        table = read()
        seconds = time.perf_counter() - begun
        print(f"{name:8s} {megabytes / seconds:8.1f} MB/s  {seconds:6.3f} s  {cpu() - cpu_begun:6.3f} CPU s  {len(table)} rows", flush=True)
    return table


if args.only != "pandas":
    table = timed("pyarrow", lambda: pyarrow.csv.read_csv(args.file, read_options=pyarrow.csv.ReadOptions(use_threads=True)))
    for name in table.column_names:
        column = table[name]
        text = pyarrow.types.is_string(column.type)
        total = pyarrow.compute.sum(pyarrow.compute.binary_length(column) if text else pyarrow.compute.cast(column, "float64"))
        print(f"sum {name} {'text' if text else 'int64' if pyarrow.types.is_integer(column.type) else 'float64'} {total.as_py():.6g}")
    del table
if args.only != "pyarrow":
    frame = timed("pandas", lambda: pandas.read_csv(args.file, engine="c", low_memory=False))
    for name in frame.columns:
        column = frame[name]
        text = not pandas.api.types.is_numeric_dtype(column.dtype)
        total = column.str.len().sum() if text else column.astype("float64").sum()
        print(f"sum {name} {'text' if text else 'int64' if pandas.api.types.is_integer_dtype(column.dtype) else 'float64'} {total:.6g}")
