# Takes the data sets that are made from others; makes the stored files of what they are of, and whether these stay as they are.
from functools import cache

from umap_sweep.planning import features


def parent_of(dataset):
    """The stored files of the data set that a subset, or a null, is of, and none of other sources."""
    whole = SETTINGS["datasets"][dataset].get("of")
    return {} if whole is None else {"data": DATA_FILE.format(dataset=whole), "rows": ROWS_FILE.format(dataset=whole)}


def parent_files(wildcards):
    return list(parent_of(wildcards.dataset).values())


def parent(wildcards, input):
    """The same as a job finds them, with the prefix that an importing workflow gives."""
    return dict(zip(parent_of(wildcards.dataset), input.get("parent", []))) or None


@cache
def rows_stay(dataset):
    """Whether no run would change what describes the rows of a data set."""
    one = SETTINGS["datasets"][dataset]
    whole = {part: with_prefix(file) for part, file in parent_of(dataset).items()} or None
    stay = whole is None or rows_stay(one["of"])
    return stay and features.are_described(one, one.get("path"), with_prefix(ROWS_FILE.format(dataset=dataset)), whole)
