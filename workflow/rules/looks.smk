# Takes the looks of `choose`, and what each left over; makes what the next one reads.
import re
import sys

from umap_sweep.quality import choice as choices


def cells_laid_out_by_rows():
    """The cells of the sweep, and where `choose` is asked for, those that it may add: others are laid out alone."""
    asked = any(re.search(r"\b(choose|choice)\b", argument) for argument in sys.argv[1:])
    return KNOWN if asked or not workflow.is_main_process else CELLS


def looked(look, part):
    return f"results/{DATASET}/choose/look={look}/{part}.parquet"


def contenders(look):
    """The settings that a look compares. Asked before the look before has ended, Snakemake asks again after it."""
    if look == 1:
        return None
    return choices.contenders_of(checkpoints.look.get(look=look - 1).output.settings)


def cells_of_look(look):
    """Whole rows of the grid, as far as they have a contender: a row is laid out for little more than a cell of it."""
    seeds = LOOKS[look - 1]
    cells = TRIED.table[TRIED.table["seed"].isin(seeds)]
    left = contenders(look)
    if left is None:
        return cells
    rows = {(*further, n_neighbors, knn_k) for *further, n_neighbors, _, knn_k in left}
    kept = [row in rows for row in cells[[*TRIED.axes, "n_neighbors", "knn_k"]].itertuples(index=False, name=None)]
    return cells[kept]


def evidence(wildcards):
    """What a look reads: of each cell the metrics, what the sample contributes, and the neighbourhoods."""
    refuse_choice_between_nothing(["choose"])
    look = int(wildcards.look)
    cells = cells_of_look(look)
    return {
        "metrics": one_a_cell(CELL_METRICS_FILE, cells),
        "contributions": one_a_cell(CONTRIBUTIONS_FILE, cells),
        "neighbors": one_a_cell(NEIGHBORS_FILE, cells),
        **({"previous": looked(look - 1, "settings")} if look > 1 else {}),
    }


def keys_of_look(wildcards):
    return keys(cells_of_look(int(wildcards.look)))


def is_last_look(wildcards):
    """Whether no seeds are left after it. How many looks there are in all is none of its business."""
    return int(wildcards.look) == len(LOOKS)


def looks_taken(wildcards):
    """The looks that there were: until the list stands, or no seeds are left."""
    taken = []
    for look in range(1, len(LOOKS) + 1):
        taken.append(look)
        if choices.list_stands(checkpoints.look.get(look=look).output.settings):
            break
    return {part: [looked(look, part) for look in taken] for part in ("settings", "comparisons")}


def first_cells():
    """Every setting under the first seed, by which it is shown."""
    return TRIED.table[TRIED.table["seed"] == LOOKS[0][0]]


def first_layouts(wildcards):
    return one_a_cell(LAYOUT_FILE, first_cells())


def first_keys(wildcards):
    return keys(first_cells())
