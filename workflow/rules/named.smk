# Takes the cells that the configuration names; makes the list of the files that are made of each.
import sys
from pathlib import Path

from umap_sweep.results import recipe

# Of one cell, for other tools.
EXPORT = f"results/{{dataset}}/export/{CELL_FOLDERS}"
EXPORTS = {
    "embedding_atlas": f"{EXPORT}/embedding_atlas.parquet",
    "projector": f"{EXPORT}/projector/projector_config.json",
    "csv": f"{EXPORT}/cell.csv",
}
RECIPE = [f"results/{{dataset}}/recipe/{CELL_FOLDERS}/{name}" for name in recipe.files_of(SETTINGS)]
FIGURE = f"results/{{dataset}}/figure/{CELL_FOLDERS}/figure"


def exports(wildcards):
    """The files of the cell to export, one for each tool."""
    cell = named("export")
    return [path for tool in SETTINGS["export"]["to"] for path in of_cells(EXPORTS[tool], cell)]


def figure_files(wildcards):
    """The figure of the cell to draw, in each format."""
    return [path for ending in SETTINGS["figure"]["format"] for path in of_cells(f"{FIGURE}.{ending}", named("figure"))]


def check_recipe():
    """That umap-learn has a call that makes the cells."""
    try:
        recipe.check(SETTINGS)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def recipe_files(wildcards):
    """The files of the recipe of the cell that is named."""
    check_recipe()
    return [path for one in RECIPE for path in of_cells(one, named("recipe"))]


def knn_of_recipe(wildcards):
    """The k-NN of a cell, where the cell can have a recipe."""
    check_recipe()
    return checked(KNN_FILE)(wildcards)


def name_of_path(wildcards):
    """What tells a cell from others, in words."""
    return ", ".join(f"{name} {wildcards[name]}" for name in (*CELLS.axes, "n_neighbors", "min_dist", "seed"))


def say_what_was_written():
    """The files of the cells that are named, which lie deep in folders."""
    asked = workflow.dag_settings.targets
    for path in [*(exports(None) if "export" in asked else []), *(figure_files(None) if "figure" in asked else [])]:
        print(f"Wrote {path}")
    if "recipe" in asked:
        script = next(path for path in recipe_files(None) if path.endswith("recipe.py"))
        print(f"The recipe is in {Path(script).parent}, a folder to hand over; python {script} makes the cell again.")


def refuse_cells_that_are_not_there(asked):
    """A cell that is named, or that a target needs. A rule's input may refuse it too, but then Snakemake adds in which."""
    if "recipe" in asked:
        check_recipe()
    for section in ("export", "figure", "recipe"):
        if section in asked or "cell" in SETTINGS[section]:
            named(section)


if workflow.is_main_process and not IMPORTED:
    refuse_cells_that_are_not_there(sys.argv[1:])
