# Takes the results; says in the last lines of a run where to look.
import csv
from pathlib import Path


def say_where_to_look():
    folder = Path("results") / DATASET
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
