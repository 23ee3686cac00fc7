#!/usr/bin/env python3
"""Joins two runs of `dae bench --json` and two of peers.py into one Markdown table: the medians of each run,
and the ratio of PyTorch's faster run to dae's faster run. So one disturbed run does not change the ratio."""
import json, sys

dae, torch = [[json.load(open(p)) for p in pair] for pair in (sys.argv[1:3], sys.argv[3:5])]
machine, peer = dae[0]["machine"], torch[0]["machine"]
print(f"{machine['cpu']}, {machine['threads']} threads; ceilings by dae's own loops: "
      f"{machine['flops_all'] / 1e9:.0f} GFLOP/s f32, {machine['bytes_all'] / 1e9:.1f} GB/s; "
      f"PyTorch {peer['torch']}, {peer['threads']} threads, channels-last, the faster of eager and torch.compile.\n")
print("| op | shape | dae, ms | % of roof | PyTorch, ms | mode | PyTorch / dae |")
print("|---|---|--:|--:|--:|---|--:|")
key = lambda r: (r["op"], r["shape"])
torch_rows = [{key(r): r for r in run["rows"]} for run in torch]
dae_second = {(key(r), r["variant"]): r for r in dae[1]["rows"]}
ms = lambda pair: " / ".join(f"{r['seconds'] * 1e3:.3f}" for r in pair)
share = lambda r: "-" if r["roof_percent"] is None else f"{r['roof_percent']:.0f} {r['roof']}"
for row in dae[0]["rows"]:
    mine = [row, dae_second[key(row), row["variant"]]]
    best = min(mine, key=lambda r: r["seconds"])
    line = f"| {row['op']} | {row['shape']} | {ms(mine)} | {share(best)} |"
    if all(key(row) in run for run in torch_rows):
        theirs = [run[key(row)] for run in torch_rows]
        fastest = min(theirs, key=lambda r: r["seconds"])
        print(line, f"{ms(theirs)} | {fastest['mode']} | {fastest['seconds'] / best['seconds']:.2f} |")
    elif row["variant"] == "cpu":
        print(line, "- | - | - |")
