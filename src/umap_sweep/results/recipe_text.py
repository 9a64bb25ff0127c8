"""What a recipe says, part by part: its script, and its notebook, in which each part is a cell.

Before each part stand the words that have to hold of a recipe that has it, or, after a `!`, must not:

- `script`, `notebook`: which of the two it is for;
- `plain`: the cell is umap-learn's plain call, which computes a k-NN of its own; others take a k-NN of the sweep's;
- `pairs`, `descent`: umap-learn computes that k-NN from all pairs of rows, or by NN-descent;
- `imported`: it was brought in;
- `from_data`: the recipe can compute it anew;
- `level`, `libc`: the sweep held the CPU to a level, and with it the C library;
- `supervised`: labels went into the graph;
- `eigenvectors`: the start is umap-learn's spectral one.

Names between `«` and `»` are of what `umap_sweep.results.recipe` puts in. A recipe runs where umap-sweep is not
installed, so nothing here imports it.
"""

IMPORTS = (
    ("script", "import argparse"),
    ("", "import csv"),
    ("eigenvectors", "import functools"),
    ("", "import hashlib\nimport os\nimport platform\nimport sys"),
    ("!plain", "import warnings"),
    ("", "from importlib.metadata import PackageNotFoundError, version\nfrom pathlib import Path"),
    ("eigenvectors", "from unittest import mock"),
)

SWITCHES = (
    ("script", "HERE = Path(__file__).resolve().parent"),
    ("script", 'parser = argparse.ArgumentParser(description="Make «cell» of the sweep of «dataset» again.")'),
    ("script from_data", 'parser.add_argument("--from-data", action="store_true", help="compute the k-NN anew")'),
    ("script level", 'parser.add_argument("--as-is", action="store_true", help="do not hold the CPU level")'),
    ("script", "arguments = parser.parse_args()"),
    ("script from_data", "FROM_DATA = arguments.from_data"),
    ("script level", "AS_IS = arguments.as_is"),
    ("notebook", "HERE = Path.cwd()  # the folder of this notebook"),
    ("notebook from_data", "FROM_DATA = False  # True computes the k-NN anew"),
    ("notebook level", "AS_IS = False  # True does not hold the CPU level: what a notebook here gives"),
)

README = (
    (
        "",
        """\
# «cell» of the sweep of «dataset»

This folder makes one UMAP embedding of «rows» rows again, with umap-learn alone, and says whether its coordinates are,
bit for bit, those that umap-sweep stored. In an environment with Python «python»:

```
python -m pip install -r requirements.txt
python recipe.py
```
""",
    ),
    ("from_data", "`python recipe.py --from-data` computes the k-NN anew, where it else takes the stored one."),
    (
        "!from_data !plain !imported",
        "It takes the k-NN that the sweep stored: all pairs of rows were compared, for which umap-learn has no call\n"
        "from 4,096 rows on.",
    ),
    ("imported", "It takes the k-NN that was brought into the sweep, and cannot compute it anew."),
    ("plain", "It is the plain `UMAP(n_neighbors, min_dist, random_state).fit(X)`, which computes its own k-NN."),
    (
        "level",
        "`python recipe.py --as-is` does not hold numba, OpenBLAS and numpy to «cpu», as the sweep did: what a\n"
        "notebook here would give.",
    ),
    (
        "",
        """
Where the coordinates are others, it says what differs from the sweep (versions, CPU level, system), how far they are
away, and ends with exit code 1.

| file | what it is |
| --- | --- |
| `recipe.py`, `recipe.ipynb` | the recipe, as a script and as a notebook, which also draws the picture |
| `requirements.txt` | the versions of the libraries that shape the bits |
| `features.npy` | the data as the sweep computes with it, float32, one row for each of its rows |
| `rows.csv` | id and label of the rows, in the same order |""",
    ),
    (
        "!plain",
        "| `knn_indices.npy`, `knn_distances.npy` | the k-NN: the neighbours of each row, nearest first |",
    ),
    ("supervised", "| `target.npy` | what supervises the cell, a number for each row, -1 where there is none |"),
    (
        "",
        """\
| `expected.npy` | the coordinates that the sweep stored, float32 |
| `embedding.csv` | what the recipe writes: id, label and coordinates; `embedding_here.csv` where they are others |

The fingerprint is `«fingerprint»`: the SHA-256 that the function `fingerprint` in the recipe takes of the coordinates.
""",
    ),
)

# Of the k-NN that is computed anew, `computed`, with the stored one, `indices` and `distances`.
COMPARE = r"""
    computed = [part[:, : UMAP["n_neighbors"]].copy() for part in computed[:2]]
    other = [int((new != old).sum()) for new, old in zip(computed, (indices, distances))]
    said = f"{other[0]} neighbours and {other[1]} distances of {indices.size} differ" if any(other) else "the same bits"
    print(f"The k-NN computed anew, beside the stored one: {said}.")
    indices, distances = computed
"""

PARTS = (
    (
        "script",
        r"""
«quotes»Make one cell again with umap-learn alone: «cell» of the sweep of «dataset».

It says whether the coordinates are those of the sweep, bit for bit. Where they are not, it says what differs, and ends
with exit code 1. README.md says what else this folder holds.
«quotes»
""",
    ),
    (
        "notebook",
        r"""
# «cell» of the sweep of «dataset»

Made again with umap-learn alone. The last cell says whether the coordinates are those of the sweep, bit for bit, and
where they are not, what differs. README.md says what else this folder holds.
""",
    ),
    (
        "",
        r"""
«imports»

# What the sweep did.
UMAP = «umap»

# What held numba, OpenBLAS and numpy. They look at these variables once, when they are imported.
THREADS = «threads»
LEVEL = «level»

# Where it ran. The versions of the libraries are in requirements.txt.
MADE_ON = «made_on»

# What came out: the SHA-256 of the coordinates, as `fingerprint` below takes it, and of the files of this folder.
FINGERPRINT = "«fingerprint»"
FILES = «files»
""",
    ),
    ("", "«switches»"),
    (
        "",
        r"""
for name, digest in FILES.items():
    if not (HERE / name).is_file():
        sys.exit(f"{name} is not in {HERE}; keep the files of a recipe together.")
    with open(HERE / name, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            sys.exit(f"{name} is not as it was written; take the folder of the recipe anew.")
""",
    ),
    (
        "level",
        r"""
IS_X86 = platform.machine() in ("x86_64", "AMD64")
cpuinfo = Path("/proc/cpuinfo")
lines = cpuinfo.read_text().splitlines() if IS_X86 and cpuinfo.exists() else []
flags = next((line.split() for line in lines if line.startswith("flags")), [])
lacking = [flag for flag in («flags») if flags and flag not in flags]
if lacking and not AS_IS:
    sys.exit(f"This CPU lacks {', '.join(lacking)} of «cpu», which the sweep was held to; --as-is tries without.")
held = THREADS | LEVEL if IS_X86 and not AS_IS else THREADS
here = {}
""",
    ),
    (
        "!level",
        r"""
held = THREADS
cpuinfo = Path("/proc/cpuinfo")
lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
here = {"the CPU": next(models, platform.processor() or platform.machine())}
""",
    ),
    (
        "notebook",
        r"""
late = [name for name in ("numpy", "numba") if name in sys.modules]
if late and any(os.environ.get(name) != value for name, value in held.items()):
    sys.exit(f"{' and '.join(late)} were imported before they could be held; restart the kernel, run this first.")
""",
    ),
    (
        "script libc",
        r"""
# The C library looks at its variable when Python starts, so Python starts once more.
if os.environ.get("GLIBC_TUNABLES") != held.get("GLIBC_TUNABLES") and "GLIBC_TUNABLES" in held:
    os.environ.update(held)
    os.execv(sys.executable, sys.orig_argv)
""",
    ),
    (
        "notebook libc",
        r"""
if os.environ.get("GLIBC_TUNABLES") != held.get("GLIBC_TUNABLES") and "GLIBC_TUNABLES" in held:
    sys.exit(f"Start Jupyter with GLIBC_TUNABLES={held['GLIBC_TUNABLES']}, for the C library looks at it only then.")
""",
    ),
    (
        "",
        r"""
os.environ.update(held)

differs = [
    f"{name} is {os.environ.get(name, 'not set')}, in the sweep {value or 'empty'}"
    for name, value in (THREADS | LEVEL).items()
    if os.environ.get(name) != value
]
for line in (HERE / "requirements.txt").read_text().split():
    name, _, wanted = line.partition("==")
    try:
        found = version(name)
    except PackageNotFoundError:
        sys.exit(f"{name} is not installed: python -m pip install -r {HERE / 'requirements.txt'}")
    if found != wanted:
        differs.append(f"{name} is {found}, in the sweep {wanted}")
here |= {
    "Python": ".".join(platform.python_version_tuple()[:2]),
    "the system": f"{platform.system()} {platform.machine()}",
    "the C library": " ".join(platform.libc_ver()).strip() or "none",
}
differs += [f"{name} is {here[name]}, in the sweep {value}" for name, value in MADE_ON.items() if here[name] != value]
same = "Versions, CPU level and system are the sweep's."
print(f"Differs from the sweep: {'; '.join(differs)}." if differs else same)
""",
    ),
    (
        "",
        r"""
import numpy as np
import umap

features = np.load(HERE / "features.npy")
""",
    ),
    (
        "!plain",
        r"""
indices, distances = np.load(HERE / "knn_indices.npy"), np.load(HERE / "knn_distances.npy")
warnings.filterwarnings("ignore", "precomputed_knn")  # that a model from a k-NN cannot place new rows
""",
    ),
    (
        "pairs from_data",
        r"""
if FROM_DATA:
    from sklearn.metrics import pairwise_distances
    from umap.distances import named_distances

    # umap-learn's own function, because scikit-learn's of that name has other last bits.
    metric = named_distances[UMAP["metric"]]
    matrix = pairwise_distances(features.copy(), metric=metric, **UMAP.get("metric_kwds", {}))
    order = np.argsort(matrix, axis=1, kind="stable")
    computed = order.astype(np.int32), np.take_along_axis(matrix, order, axis=1)
«compare»
""",
    ),
    (
        "descent from_data",
        r"""
if FROM_DATA:
    from pynndescent.distances import named_distances as fast
    from umap.distances import named_distances
    from umap.umap_ import nearest_neighbors

    metric = UMAP["metric"] if UMAP["metric"] in fast else named_distances[UMAP["metric"]]
    random_state = np.random.RandomState(«knn_seed»)
    computed = nearest_neighbors(
        features.copy(), «knn_k», metric, UMAP.get("metric_kwds", {}), False, random_state, n_jobs=«knn_jobs»
    )
«compare»
""",
    ),
    (
        "",
        r"""

def fingerprint(coordinates):
    digest = hashlib.sha256()
    for number, column in enumerate(coordinates.T, 1):
        digest.update(f"umap_{number}\0float\0{len(column)}\0".encode())
        digest.update(column.astype("<f4").tobytes())
    return digest.hexdigest()
""",
    ),
    (
        "plain",
        r"""

def fit():
    return umap.UMAP(**UMAP, n_jobs=1).fit(features.copy()«target»).embedding_

""",
    ),
    (
        "!plain",
        r"""

def fit():
    # Copies, because umap-learn writes into a k-NN that it is given.
    precomputed_knn = (indices.copy(), distances.copy(), None)
    model = umap.UMAP(**UMAP, n_jobs=1, precomputed_knn=precomputed_knn, force_approximation_algorithm=True)
    return model.fit(features.copy()«target»).embedding_

""",
    ),
    (
        "",
        r"""
coordinates = fit()
met = fingerprint(coordinates) == FINGERPRINT
""",
    ),
    (
        "eigenvectors",
        r"""
if not met:
    # On some data umap-learn gives another picture each time, because ARPACK asks for a random vector, which no seed
    # reaches. The sweep gives it a fixed generator.
    import sklearn.manifold._spectral_embedding as spectral_embedding
    from scipy.sparse import linalg

    fixed = functools.partial(linalg.eigsh, rng=0)
    with mock.patch.object(linalg, "eigsh", fixed), mock.patch.object(spectral_embedding, "eigsh", fixed):
        again = fit()
    if fingerprint(again) == FINGERPRINT:
        coordinates, met = again, True
        print("umap-learn does not repeat itself on this data; with the generator of ARPACK fixed it does.")
""",
    ),
    (
        "",
        r"""
out = HERE / ("embedding.csv" if met else "embedding_here.csv")
with open(HERE / "rows.csv", newline="", encoding="utf-8") as file:
    names, *rows = csv.reader(file)
with open(out, "w", newline="", encoding="utf-8") as file:
    csv.writer(file).writerow([*names, *(f"umap_{number + 1}" for number in range(coordinates.shape[1]))])
    csv.writer(file).writerows([*row, *map(str, place)] for row, place in zip(rows, coordinates))
""",
    ),
    (
        "notebook",
        r"""
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("There is no picture, because matplotlib is not installed.")
else:
    kinds, colors = np.unique([row[-1] if names[1:] else "" for row in rows], return_inverse=True)
    size, palette = min(max(20000 / len(rows), 0.2), 20), "tab20" if len(kinds) <= 20 else "viridis"
    plt.figure(figsize=(6, 6))
    points = plt.scatter(coordinates[:, 0], coordinates[:, -1], s=size, c=colors, cmap=palette)
    plt.axis("equal")
    if 1 < len(kinds) <= 20:
        plt.legend(points.legend_elements(num=None)[0], kinds, loc="center left", bbox_to_anchor=(1, 0.5))
""",
    ),
    (
        "",
        r"""
if met:
    print(f"Met: the coordinates of {len(rows)} rows have the fingerprint {FINGERPRINT}. They are in {out.name}.")
else:
    expected = np.load(HERE / "expected.npy")
    away = np.linalg.norm(coordinates - expected, axis=1) / np.nanmax(np.nanmax(expected, 0) - np.nanmin(expected, 0))
    others = int((coordinates.view(np.uint32) != expected.view(np.uint32)).any(axis=1).sum())
    nothing = "nothing that is looked at here; another make of CPU or build of a library may be the reason"
    sys.exit(
        f"Not met: the coordinates have the fingerprint {fingerprint(coordinates)}, those of the sweep {FINGERPRINT}. "
        f"{others} of {len(rows)} rows lie elsewhere, and half of all rows by more than {np.nanmedian(away):.1%} "
        f"of the picture's size. They are in {out.name}. What differs: {'; '.join(differs) or nothing}."
    )
""",
    ),
)
