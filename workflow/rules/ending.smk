# Takes the results; makes the last lines of a run: what was done with the data, what is listed, and where to look.
import csv
import platform
import sys
from pathlib import Path

from umap_sweep import store
from umap_sweep.cells.lines import line_of, name_of


def say_what_was_taken(folder):
    """Which columns are features, where the user has not named each, and what was done about missing values."""
    record = store.read_record(folder / "data" / "data.parquet")
    names, missing = record["feature_names"], record["missing"]
    one = SETTINGS["datasets"][DATASET]
    if one.get("features") == "numeric" or "exclude" in one:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        print(f"Features: {', '.join(names[:8])}{more}.")
    if left_out := record.get("not_numeric"):
        left = [f"{name} ({value})" if value else name for name, value in left_out[:8]]
        more = f" and {len(left_out) - 8} more" if len(left_out) > 8 else ""
        print(f"Left out, because not numeric: {', '.join(left)}{more}.")
    if missing:
        counts = ", ".join(f"{count} in {name}" for name, count in list(missing.items())[:8])
        lacking = record["source_rows"] - record["rows"]
        became = f"{lacking} rows are left out" if lacking else "medians stand for them"
        print(f"Values were missing, and {became}: {counts}.")


def say_what_decides(folder):
    """Where few columns decide the distances, and where columns or rows repeat others."""
    from umap_sweep.quality import feature_shares  # here, because only the end of a run needs it

    for sentence in feature_shares.sentences(folder / "features.parquet"):
        print(sentence)


def say_each(cells):
    """The settings of a list, with the letters of their groups where there are several."""
    for cell in cells:
        group = f" [{cell['group']}]" if len(cells) > 1 else ""
        print(f"  {name_of(line_of(cell))}, min_dist {cell['min_dist']}{group}: {cell['reason']}")


def say_what_is_listed(cells):
    """The short list, or that there is none yet."""
    if len(cells) > 1 and all(cell["seeds"] == "1" for cell in cells):
        print(
            "Which cells are best cannot be told from one seed, because another would change the numbers too; "
            "`snakemake choose` adds seeds where they decide, or give several in grid.seed."
        )
        return
    print("Cells that no other beats beyond the noise:")
    say_each(cells)


def say_what_is_chosen(path):
    """What `choose` has left, and where its page is."""
    with path.open(newline="", encoding="utf-8") as file:
        cells = [cell for cell in csv.DictReader(file) if cell["status"] == "contender"]
    stands = choices.list_stands(path.with_suffix(".parquet"))
    said = "the list stands" if stands else "all seeds are spent; choose.seeds allows more"
    print(f"Settings that no other beats, under {cells[0]['seeds']} seeds ({said}):")
    say_each(cells)
    letters = [letter for cell in cells for letter in cell["group"]]
    if len(set(letters)) < len(letters):
        print(
            "Those that have a letter in common cannot be told apart by this data; take the one whose picture you like."
        )
    print(f"Read {path.with_suffix('.html').resolve().as_uri()}")


def say_how_to_go_on():
    """What is finished stays; the reason stands above, and in the log of its rule."""
    if set(workflow.dag_settings.targets) & {"check", "claims", "verify"}:  # their failure is what they have to say
        return
    print(
        f"umap-sweep: the run has ended before all was made. What is finished stays: mend what is said above (logs are in "
        f"results/{DATASET}/logs) and type the same command again.",
        file=sys.stderr,
    )


def say_whose_bits_they_are():
    """Where no level of CPUs was asked for, and this machine has none of them."""
    if "cpu" not in config and SETTINGS["cpu"] == "native":
        print(
            f"cpu is native, because x86-64-v3, the default, is for x86 CPUs, and this one is {platform.machine()}: the last "
            "bits, and so the pictures, are those of CPUs and systems like this one. cpu: portable gives one set of bits on "
            "every CPU (docs/reproducibility.md)."
        )


def say_where_to_look():
    folder = Path("results") / DATASET
    if (folder / "data" / "data.parquet").exists() and set(workflow.dag_settings.targets) <= {"all", "anndata"}:
        say_what_was_taken(folder)
        if (folder / "features.parquet").exists():
            say_what_decides(folder)
    say_what_was_written()
    say_whose_bits_they_are()
    if "choose" in workflow.dag_settings.targets and (folder / "choice.csv").exists():
        say_what_is_chosen(folder / "choice.csv")
        return
    if set(workflow.dag_settings.targets) <= {"all", "transform"} and NEW_CELL is not None:
        say_what_is_placed(Path(new_rows_files(NEW_ROWS_FOLDER)[0]))
    # After other targets it would hide what they have to say.
    if set(workflow.dag_settings.targets) <= {"all"} and (folder / "shortlist.csv").exists():
        with (folder / "shortlist.csv").open(newline="", encoding="utf-8") as file:
            say_what_is_listed(list(csv.DictReader(file)))
    if (folder / "plots" / "grid.png").exists():
        print(f"Look at {folder}/plots/grid.png, read {folder}/sweep.parquet.")
    if (folder / "atlas.html").exists():
        print(f"Explore {(folder / 'atlas.html').resolve().as_uri()}")
