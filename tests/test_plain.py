"""knn.method plain: each cell is a plain seeded UMAP of umap-learn, run in a process of its own."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import snakemake
from test_exactness import clouds

PLAIN_UMAP = """
import sys, warnings
import numpy as np
from umap import UMAP
warnings.simplefilter("ignore")
features = np.load("features.npy")
for seed in map(int, sys.argv[1:]):
    model = UMAP(n_neighbors=12, min_dist=0.2, random_state=seed, n_epochs=50).fit(features)
    np.save(f"plain_{seed}.npy", model.embedding_)
"""


@pytest.mark.parametrize("rows", [300, 5100])
def test_a_cell_is_a_plain_seeded_umap(tmp_path, rows):
    seeds = [3, 10, 42] if rows < 4096 else [10]
    np.save(tmp_path / "features.npy", clouds(rows, 7).astype(np.float32))
    config = {
        "dataset": "clouds",
        "datasets": {"clouds": {"source": "file", "path": "features.npy"}},
        "knn": {"method": "plain"},
        "grid": {"n_neighbors": [12], "min_dist": [0.2], "seed": seeds},
        "umap": {"n_epochs": 50},
    }
    run = snakemake(tmp_path, "results/clouds/sweep.parquet", config=config)
    assert run.code == 0, run.output
    assert run.jobs["knn"] == len(seeds)
    one_thread = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", PLAIN_UMAP, *map(str, seeds)], cwd=tmp_path, check=True, env=one_thread)
    sweep = pd.read_parquet(tmp_path / "results/clouds/sweep.parquet")
    for seed in seeds:
        cell = sweep[sweep["seed"] == seed]
        assert (cell["knn_k"] == 12).all()
        assert (cell["knn_seed"] == seed).all()
        found = np.ascontiguousarray(cell[["umap_1", "umap_2"]].to_numpy())
        assert found.tobytes() == np.load(tmp_path / f"plain_{seed}.npy").tobytes()
