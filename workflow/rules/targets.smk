# Takes the cells; makes the list of what a run is for: tables, figures and the atlas, as far as the grid has them.
from umap_sweep.cells.groups import as_records
from umap_sweep.settings.configuration import copied

OWN_SNAKEFILE = workflow.current_basedir.join("../Snakefile").get_path_or_uri(secret_free=True)


def comparisons():
    """The tables that compare cells, as far as the grid has what they compare."""
    folder = f"results/{DATASET}"
    tables = {"metrics": f"{folder}/metrics.parquet"}
    if CELLS.have_neighbors:
        tables["neighboring_cells"] = f"{folder}/neighboring_cells.parquet"
    if len(CELLS.with_seeds):
        tables["stability"] = f"{folder}/stability.parquet"
    return tables


def measured(wildcards):
    """What settings are compared by."""
    return {name: path for name, path in comparisons().items() if name != "neighboring_cells"}


def compared(wildcards):
    """What the short list is made from."""
    return measured(wildcards) | {"comparisons": f"results/{DATASET}/comparisons.parquet"}


def changes(wildcards):
    """What the figure of the changes is made from."""
    return {name: path for name, path in comparisons().items() if name != "metrics"}


def comparing_figures():
    """The figures that compare cells, as far as the grid has what they compare."""
    figures = {"neighboring_cells": "changes", "stability": "stability"}
    several = len(CELLS.table.drop_duplicates([*CELLS.axes, "n_neighbors", "min_dist", "knn_k"])) > 1
    names = ["metrics", *(["comparisons"] if several else [])]
    names += [figure for table, figure in figures.items() if table in comparisons()]
    return [*names, *(["instability"] if "stability" in names and fit_a_figure(CELLS.with_seeds) else [])]


def trust_points(wildcards):
    """How far each point's neighbourhood is to be trusted, one file a cell, where there is a null."""
    return one_a_cell(TRUST_FILE, CELLS.table) if NULLS else []


def comparisons_in_atlas(wildcards):
    """What the atlas shows of the cells beside their points, as far as the grid has it."""
    return {
        "metrics": comparisons()["metrics"],
        "recall": one_a_cell(POINTS_FILE, CELLS.table),
        "instability": stability_points(wildcards),
        "trust": trust_points(wildcards),
        "shortlist": f"results/{DATASET}/shortlist.parquet",
    }


def targets(wildcards):
    folder = f"results/{DATASET}"
    of_data = ["features", *(["explained_variance"] if PROJECTED else [])]
    return [
        f"{folder}/sweep.parquet",
        MANIFEST_FILE,
        *comparisons().values(),
        f"{folder}/annotations.parquet",
        f"{folder}/comparisons.parquet",
        f"{folder}/shortlist.parquet",
        f"{folder}/features.parquet",
        *of_derived(),
        *of_new_rows(),
        *([f"{folder}/explained_variance.parquet"] if PROJECTED else []),
        *(f"{folder}/plots/{name}.png" for name in (*figures_of_panels(), *comparing_figures(), *of_data)),
        f"{folder}/atlas.html",
    ]


def timed(cells):
    """What the arms of `timing` need to know of cells."""
    return as_records(cells, ["n_neighbors", "min_dist", "seed", "knn_seed", "knn_k"])


def timing_arms(wildcards):
    refuse_timing_of_further_axes()
    return [f"results/{wildcards.dataset}/timing/{arm}.parquet" for arm in SETTINGS["timing"]["arms"]]


def own_snakefile(wildcards, output):
    """The workflow that an arm of `timing` runs; where it lies is no reason to run the arm again."""
    return OWN_SNAKEFILE
