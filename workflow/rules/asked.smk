# Takes the paths of the command line; makes sure that each means what it says.
import sys
from pathlib import Path


def checked(pattern):
    """An input that any path may ask for, where what the configuration would refuse is refused too."""

    def path(wildcards):
        check_path(dict(wildcards.items()))
        return pattern.format(**dict(wildcards.items()))

    return path


def check_path(values):
    """The same check of what a path says, in words for who typed it."""
    try:
        grid.check_path(values, SETTINGS)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def refuse_paths_that_mean_nothing(asked):
    """What the configuration would refuse, and tables and figures of another data set than it names.

    Rules refuse the same for workflows that import them. Here it is said before Snakemake says in which function.
    """
    for path in asked:
        parts = Path(path).parts
        if len(parts) < 3 or parts[0] != "results":
            continue
        values = dict(part.split("=", 1) for part in parts[2:-1] if "=" in part)
        check_path({"dataset": parts[1], **values})
        if parts[2] == "plots" and parts[3].startswith("grid"):
            check_figure(Path(path).stem)
        if parts[2] in ("points", "neighbors", "metrics", "contributions", "trust", "stability", "seed_pairs"):
            cells_in_sweep(parts[1], values)
        if parts[2] == "trust" or Path(path).stem == "null":
            check_null()
        if Path(path).stem == "left_out":
            check_left_out()
        own = [of_data_set.format(dataset=parts[1]) for of_data_set in (DATA_FILE, ROWS_FILE)]
        is_of_any = "=" in parts[-2] or path in own or parts[-1].split(".")[0] in ("features", "claims", "timing")
        if parts[1] != DATASET and not is_of_any:
            raise WorkflowError(
                f"{path} is of the data set {parts[1]}, and this run is of {DATASET}; add --config dataset={parts[1]}."
            )


def refuse_timing_of_further_axes():
    """The arms that stand for a notebook take the data as it is stored."""
    if STEPS:
        raise WorkflowError(
            "timing compares with umap-learn on the data as it is, and the grid has preparations; leave grid.preparation "
            "out of the configuration that is timed."
        )
    for axis in umap_axes(SETTINGS):
        raise WorkflowError(
            f"timing compares with umap-learn under one value of {axis}, and the grid has it as an axis; leave "
            f"grid.{axis} out of the configuration that is timed."
        )


def refuse_claims_under_portable():
    """The claims are umap-learn's, whose bits that level does not have."""
    if SETTINGS["cpu"] == environment.PORTABLE:
        raise WorkflowError(
            "claims tries statements of umap-learn on its own bits, which cpu portable does not have; run it under another "
            "cpu, as with --config cpu=native."
        )


def refuse_choice_between_nothing(asked):
    """A rule's input may refuse it too, but then Snakemake adds in which function."""
    if "choose" in asked and len(first_cells()) == 1:
        raise WorkflowError("The grid has one n_neighbors and min_dist, so that there is nothing to choose between.")


def refuse_no_new_rows(asked):
    """Likewise."""
    if "transform" in asked:
        check_new_rows()


if workflow.is_main_process and not IMPORTED:
    refuse_paths_that_mean_nothing(sys.argv[1:])
    refuse_choice_between_nothing(sys.argv[1:])
    refuse_no_new_rows(sys.argv[1:])
    if "timing" in sys.argv[1:]:
        refuse_timing_of_further_axes()
    if "claims" in sys.argv[1:]:
        refuse_claims_under_portable()
