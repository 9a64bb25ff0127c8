# Takes the cells; makes the list of what a run is for: tables, figures and the atlas, as far as the grid has them.
from urllib.parse import quote

from umap_sweep.cells.groups import as_records
from umap_sweep.settings.configuration import copied

FIGURES = CELLS.figures()
# One more for each annotation that is asked for, in names that a path can have.
ANNOTATIONS = {f"grid_by={quote(name, safe='')}": name for name in SETTINGS["plot"]["annotations"]}
OWN_SNAKEFILE = workflow.current_basedir.join("../Snakefile").get_path_or_uri(secret_free=True)


def seeds_of_figure(wildcards):
    return FIGURES["grid" if wildcards.figure in ANNOTATIONS else wildcards.figure]


def figure_knn_seed(wildcards):
    return seeds_of_figure(wildcards)[0]


def figure_seed(wildcards):
    return seeds_of_figure(wildcards)[1]


def figure_annotation(wildcards):
    return ANNOTATIONS.get(wildcards.figure)


def rows_of_figure(wildcards):
    """What colours a figure, where that is not the label."""
    return ROWS_FILE.format(dataset=DATASET) if wildcards.figure in ANNOTATIONS else []


def plot_settings(wildcards):
    """How figures look, without which of them there are."""
    return {name: value for name, value in SETTINGS["plot"].items() if name != "annotations"}


def comparisons():
    """The tables that compare cells, as far as the grid has what they compare."""
    folder = f"results/{DATASET}"
    tables = {"metrics": f"{folder}/metrics.parquet"}
    if CELLS.have_neighbors:
        tables["neighboring_cells"] = f"{folder}/neighboring_cells.parquet"
    if len(CELLS.with_seeds):
        tables["stability"] = f"{folder}/stability.parquet"
    return tables


def compared(wildcards):
    """What the short list is made from."""
    return {name: path for name, path in comparisons().items() if name != "neighboring_cells"}


def changes(wildcards):
    """What the figure of the changes is made from."""
    return {name: path for name, path in comparisons().items() if name != "metrics"}


def comparing_figures():
    """The figures that compare cells, as far as the grid has what they compare."""
    figures = {"metrics": "metrics", "neighboring_cells": "changes", "stability": "stability"}
    names = [figure for table, figure in figures.items() if table in comparisons()]
    return [*names, *(["instability"] if "stability" in names else [])]


def comparisons_in_atlas(wildcards):
    """What the atlas shows of the cells beside their points, as far as the grid has it."""
    return {
        "metrics": comparisons()["metrics"],
        "recall": one_a_cell(POINTS_FILE, CELLS.table),
        "instability": stability_points(wildcards),
    }


def targets(wildcards):
    folder = f"results/{DATASET}"
    return [
        f"{folder}/sweep.parquet",
        f"{folder}/manifest.json",
        *comparisons().values(),
        f"{folder}/annotations.parquet",
        f"{folder}/shortlist.parquet",
        f"{folder}/features.parquet",
        *(f"{folder}/plots/{name}.png" for name in (*FIGURES, *ANNOTATIONS, *comparing_figures(), "features")),
        f"{folder}/atlas.html",
    ]


def timed(cells):
    """What the arms of `timing` need to know of cells."""
    return as_records(cells, ["n_neighbors", "min_dist", "seed", "knn_seed", "knn_k"])


def timing_arms(wildcards):
    return [f"results/{wildcards.dataset}/timing/{arm}.parquet" for arm in SETTINGS["timing"]["arms"]]


def own_snakefile(wildcards, output):
    """The workflow that an arm of `timing` runs; where it lies is no reason to run the arm again."""
    return OWN_SNAKEFILE
