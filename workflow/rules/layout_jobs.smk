# Takes the cells and what is stored of them; makes the list of those that share a layout job, and what it needs.
import re
import sys
from pathlib import Path

import pandas as pd
from umap_sweep.planning import layout_jobs
from umap_sweep.stages.lanes import LANES


def side_by_side():
    """How many jobs run at one time, as far as the command line says it."""
    jobs = workflow.resource_settings.nodes
    # By `unlimited`, which is a very large number here, a scheduler is left to say how many.
    return None if jobs == sys.maxsize else jobs or workflow.resource_settings.cores


def rules_of_this_process():
    """The rules of the jobs that a process was started for by another, whose command line alone says it so early."""
    rules = []
    for argument in sys.argv[sys.argv.index("--target-jobs") + 1 :]:
        if argument.startswith("-"):
            break
        rules.append(argument.partition(":")[0])
    return list(dict.fromkeys(rules))


def asks_for(rule):
    """Whether the command line names a rule of single cells, for instance to run it again, or has the path of a cell."""
    named = re.compile(rf"(.*=|-R)?{re.escape(workflow.modifier.modify_rulename(rule))}")
    cells = ("layout.parquet", "embedding.parquet")
    return any(named.fullmatch(argument) or Path(argument).name in cells for argument in sys.argv)


def is_stored(path):
    """Whether a result is there, under the prefix that an importing workflow gives."""
    return Path(workflow.modifier.modify_path(path, "output")).exists()


def stored(cells, below):
    """Of each cell, whether its results are there. In a remote storage none counts as such."""
    if workflow.storage_settings.default_storage_provider is not None:
        return [False] * len(cells)
    files = zip(*(one_a_cell(placed(pattern, below), cells) for pattern in (LAYOUT_FILE, COST_FILE)))
    return [all(map(is_stored, paths)) for paths in files]


def laid_out_together(single, cells, below):
    """The min_dist of each job that lays out several cells in the place of one rule, which lays out one.

    Which they are depends on the machine and on what is stored. So a process that runs a job of another's plan goes by
    the name of that job's rule.
    """
    renamed = workflow.modifier.modify_rulename
    if not workflow.is_main_process and "--target-jobs" in sys.argv:
        named = (layout_jobs.named_columns(name, single, renamed) for name in rules_of_this_process())
        return list(filter(None, named))
    if asks_for(single):
        return []
    in_lanes = SETTINGS["umap"]["n_components"] == 2 and "densmap" not in SETTINGS["umap"]
    return layout_jobs.together(cells, stored(cells, below), side_by_side(), LANES if in_lanes else 1)


def take_over(single, job):
    """Let a job of several cells take the place of that of one, so that it does not show which of them made a file.

    Snakemake compares the line that names the script, with its indentation, and takes `--set-resources` by name.
    """
    # An importing workflow may take one rule without the others.
    if workflow.modifier.avail_rulename(job) is None:
        return
    workflow.ruleorder(job, single)
    single, job = map(workflow.modifier.modify_rulename, (single, job))
    asked = workflow.resource_settings._parsed_overwrite_resources
    for name in (single, job):
        workflow.get_rule(job).resources.update(asked.get(name, {}))
    workflow.get_rule(job).run_func_src = workflow.get_rule(single).run_func_src


def row_key(wildcards):
    """The key of the cells of a row of the grid but for min_dist, the same however many of them one job lays out."""
    names = [name for name in CELLS.types if name != "min_dist"]
    return cell_key({name: CELLS.types[name](wildcards[name]) for name in names}, SETTINGS)


def min_dists(wildcards, output):
    """The min_dist of each cell that a job lays out.

    Made from the output, as Snakemake sees it, which cells share a job is no reason to run it again.
    """
    return [float(part[1]) for path in output.layouts for part in re.finditer("/min_dist=([^/]+)/", path)]


def of_their_rows(columns):
    """What wildcards may be where a job lays out several min_dist: a path outside the grid is a single cell."""
    rows = cells_laid_out_by_rows().table.query("min_dist.astype('str').isin(@columns)")
    values = {name: "|".join(sorted({str(one) for one in rows[name]})) for name in layout_jobs.row_columns(rows)}
    return {"dataset": "|".join(re.escape(name) for name in (DATASET, *DERIVED)), **values}


def start_of_cells(columns, below):
    """Where their layout starts, of a row that has them all; a table of cells need not have all that it might have."""

    def initial_layout(wildcards):
        if not set(columns) <= set(cells_laid_out_by_rows().of(dict(wildcards.items()))["min_dist"].astype(str)):
            raise LookupError("The row has other cells, and the one that is asked for is laid out by itself.")
        return placed(INITIAL_LAYOUT_FILE, below).format(**dict(wildcards.items()))

    return initial_layout


TOGETHER = [
    (single, columns, below, priority)
    for single, cells, below, priority in (
        ("layout", pd.concat(swept()), "", longest_first),
        ("layout_again", CELLS.sample(SETTINGS["verify"]["cells"]), "verify/", last_cells_first),
    )
    for columns in laid_out_together(single, cells, below)
]
