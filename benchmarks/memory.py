"""Print each stage's peak memory against rows, dimensions and n_neighbors, and a model of it for `mem_mb`.

Run as `python benchmarks/memory.py benchmarks/measured/MACHINE`.
"""

import sys
from pathlib import Path

import machine  # noqa: F401  (puts scripts/ on the path)
import pandas as pd
import tables

if __name__ == "__main__":
    points = pd.read_csv(Path(sys.argv[1]) / "points.tsv", sep="\t")
    peaks = points[points["peak_memory_mb"].notna()]
    wide = peaks.pivot_table(index=tables.AXES, columns="stage", values="peak_memory_mb")
    stages = [*tables.WORK, "other"]
    print(wide[stages].round(0).astype("Int64").to_string(), end="\n\n")
    print("peak_mb = constant + (…) / 2**20, weights in bytes, fitted by least relative squares:")
    for stage in stages:
        weights, worst = tables.memory_model(points, stage)
        terms = " + ".join(
            f"{weight:.0f}" if name == "constant" else f"{weight:.1f} × {name}" for name, weight in weights.items()
        )
        print(f"  {stage:15} {terms}; off by {worst:.0%} at most")
