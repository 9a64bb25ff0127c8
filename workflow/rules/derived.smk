# Takes the cells; makes those of the data sets that are made from the one to sweep: its null, and what is left without rows.

# The same data with permuted columns, one for each permutation.
NULLS = configuration.nulls_of(DATASET, SETTINGS["choose"]["permutations"] if SETTINGS["choose"]["null"] else 0)

# What is left of the data where a tenth of its rows is left out, one for each draw of them.
SUBSAMPLES = configuration.subsamples_of(DATASET, SETTINGS["choose"]["leave_out"])

# Those of these data sets that are asked for.
DERIVED = [*NULLS, *SUBSAMPLES]


def cells_of_derived(name):
    return CELLS.of_first_seeds.assign(dataset=name)


def swept():
    """The cells of the data set to sweep and those of each that is derived from it, with the data set's name."""
    return [CELLS.table.assign(dataset=DATASET), *map(cells_of_derived, DERIVED)]


def check_null():
    if not NULLS:
        raise WorkflowError(f"The sweep of {DATASET} is held against a null where choose.null is true; set it.")


def of_nulls(pattern):
    """The files of one stage of all permutations, one permutation after the other."""

    def files(wildcards):
        check_null()
        return [path for name in NULLS for path in of_cells(pattern, cells_of_derived(name))]

    return files


def null_data(wildcards):
    check_null()
    return [DATA_FILE.format(dataset=name) for name in NULLS]


def check_left_out():
    if not SUBSAMPLES:
        raise WorkflowError(
            f"Rows of {DATASET} are left out where choose.leave_out says how many times; set it, for instance to 10."
        )


def subsamples(wildcards):
    check_left_out()
    return [DATA_FILE.format(dataset=name) for name in SUBSAMPLES]


def layouts_of_subsamples(wildcards):
    """Those of each draw, one draw after the other, in the order of the cells of the sweep that they are held against."""
    return [path for name in SUBSAMPLES for path in one_a_cell(LAYOUT_FILE, cells_of_derived(name))]


def of_derived():
    """What the sweep is held against its null by, and against what is left without rows, where they are asked for."""
    folder = f"results/{DATASET}"
    of_null = [f"{folder}/null.parquet", f"{folder}/plots/null.png"] if NULLS else []
    return [*of_null, *([f"{folder}/left_out.parquet"] if SUBSAMPLES else [])]
