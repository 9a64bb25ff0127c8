# Takes the cells; makes the list of the figures that have a panel for each cell, and what each of them is drawn of.
from urllib.parse import quote

from umap_sweep.cells.groups import as_records
from umap_sweep.cells.lines import line_of
from umap_sweep.planning import panels

FIGURES = CELLS.figures()
# One more for each annotation that is asked for, in names that a path can have.
ANNOTATIONS = {f"grid_by={quote(name, safe='')}": name for name in SETTINGS["plot"]["annotations"]}
PANEL_SIDE = round(SETTINGS["plot"]["panel_size"] * SETTINGS["plot"]["dpi"])


def check_figure(name):
    known = [*FIGURES, *ANNOTATIONS]
    if name not in known:
        raise WorkflowError(
            f"The sweep has no figure {name}; it has {', '.join(known)}. Seeds of the grid and plot.annotations make "
            f"others."
        )


def fit_a_figure(cells):
    """Whether these cells are few enough for the panels of one figure; where they are not, it is said once."""
    axes = {(line_of(cell), cell["min_dist"]) for cell in as_records(cells)}
    fit = not axes or panels.panel_side(axes, PANEL_SIDE) is not None
    if not fit:
        say_once_that_figures_are_left_out(axes)
    return fit


def figures_of_panels():
    """The figures that have a panel for each cell, as far as cells are few enough."""
    seeds = {pair: cells for pair, cells in CELLS.table.groupby(["knn_seed", "seed"])}
    drawn = [name for name, pair in FIGURES.items() if fit_a_figure(seeds[pair])]
    return [*drawn, *(ANNOTATIONS if "grid" in drawn else [])]


def seeds_of_figure(wildcards):
    check_figure(wildcards.figure)
    return FIGURES["grid" if wildcards.figure in ANNOTATIONS else wildcards.figure]


def figure_knn_seed(wildcards):
    return seeds_of_figure(wildcards)[0]


def figure_seed(wildcards):
    return seeds_of_figure(wildcards)[1]


def figure_annotation(wildcards):
    return ANNOTATIONS.get(wildcards.figure)


def rows_of_figure(wildcards):
    """What colours a figure, where that is not the label. As an input it is asked for first."""
    seeds_of_figure(wildcards)
    return ROWS_FILE.format(dataset=DATASET) if wildcards.figure in ANNOTATIONS else []


def plot_settings(wildcards):
    """How figures look, without which of them there are."""
    return {name: value for name, value in SETTINGS["plot"].items() if name != "annotations"}
