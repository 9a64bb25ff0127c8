"""A grid by scanpy: `pp.neighbors` for each n_neighbors, `tl.umap` for each cell. Run as `scanpy_cells.py TASK`."""

import json
import sys
from pathlib import Path

import anndata
import numpy as np
import scanpy
from pynndescent import PyNNDescentTransformer
from scipy.sparse import csr_matrix

# From 8,192 rows on scanpy searches by pynndescent, whose version 0.7 returns a csr_array. scanpy, also in 1.12.4,
# calls `getnnz` of it, which only a csr_matrix has. So it is given one, of the same arrays; the search stays its own.
fit_transform = PyNNDescentTransformer.fit_transform
PyNNDescentTransformer.fit_transform = lambda *given, **named: csr_matrix(fit_transform(*given, **named))

task = json.loads(Path(sys.argv[1]).read_text())
features = np.fromfile(task["features"], dtype=np.float32).reshape(task["rows"], -1)
data = anndata.AnnData(features)
for n_neighbors in task["n_neighbors"]:
    scanpy.pp.neighbors(data, n_neighbors=n_neighbors, use_rep="X", random_state=task["seed"])
    for min_dist in task["min_dist"]:
        scanpy.tl.umap(data, min_dist=min_dist, random_state=task["seed"])
        assert np.isfinite(data.obsm["X_umap"]).all()
        print(f"n_neighbors {n_neighbors}, min_dist {min_dist}: done", flush=True)
