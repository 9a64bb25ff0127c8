# Takes the size of the data and the results; says where a run will take long, and in its last lines where to look.
import csv
import sys
from pathlib import Path

from umap_sweep import store
from umap_sweep.planning.resources import Size, minutes_of_long_start

SAID = set()


def say_once_that_the_start_is_long(rows):
    """Said by the process that plans the run, because jobs may run anywhere, and there are many of them."""
    minutes = minutes_of_long_start(Size(rows=rows, neighbors=CELLS.widest["n_neighbors"]))
    if minutes is None or SETTINGS["umap"]["init"] != "spectral" or SAID or not workflow.is_main_process:
        return
    SAID.add("start")
    print(
        f"umap.init spectral will take about {max(round(minutes), 1)} min for each graph of {rows:,} rows, longer than a "
        f"layout; umap.init spectral_lean finds the same eigenvectors in far less, for another picture (docs/large.md).",
        file=sys.stderr,
        flush=True,
    )


def say_what_was_taken(folder):
    """Which columns are features, where the user has not named each, and what was done about missing values."""
    record = store.read_record(folder / "data" / "data.parquet")
    names, missing = record["feature_names"], record["missing"]
    one = SETTINGS["datasets"][DATASET]
    if one.get("features") == "numeric" or "exclude" in one:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        print(f"Features: {', '.join(names[:8])}{more}.")
    if missing:
        counts = ", ".join(f"{count} in {name}" for name, count in list(missing.items())[:8])
        left_out = record["source_rows"] - record["rows"]
        became = f"{left_out} rows are left out" if left_out else "medians stand for them"
        print(f"Values were missing, and {became}: {counts}.")


def say_what_decides(folder):
    """Where few columns decide the distances, and where columns or rows repeat others."""
    from umap_sweep.quality import feature_shares  # here, because only the end of a run needs it

    for sentence in feature_shares.sentences(folder / "features.parquet"):
        print(sentence)


def say_where_to_look():
    folder = Path("results") / DATASET
    if (folder / "data" / "data.parquet").exists() and set(workflow.dag_settings.targets) <= {"all", "anndata"}:
        say_what_was_taken(folder)
        if (folder / "features.parquet").exists():
            say_what_decides(folder)
    # After other targets it would hide what they have to say.
    if set(workflow.dag_settings.targets) <= {"all"} and (folder / "shortlist.csv").exists():
        print("Cells that no other beats:")
        with (folder / "shortlist.csv").open(newline="", encoding="utf-8") as file:
            for cell in csv.DictReader(file):
                print(f"  n_neighbors {cell['n_neighbors']}, min_dist {cell['min_dist']}: {cell['reason']}")
    if (folder / "plots" / "grid.png").exists():
        print(f"Look at {folder}/plots/grid.png, read {folder}/sweep.parquet.")
    if (folder / "atlas.html").exists():
        print(f"Explore {(folder / 'atlas.html').resolve().as_uri()}")
