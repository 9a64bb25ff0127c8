# Takes the cells; makes what `verify` holds against each other: what is stored, and what is computed once more.
from pathlib import Path


def recomputed_stages(wildcards):
    cells = CELLS.sample(SETTINGS["verify"]["cells"])
    stages = [path for pattern in STAGE_FILES for path in of_cells(again(pattern), cells)]
    return [*stages, *new_rows_files(again(NEW_ROWS_FILE))]


def verify_folder(wildcards, input):
    """Where the recomputed stages are, with the prefix that an importing workflow gives; the first one is the data."""
    return str(Path(input[0]).parents[1])


def stages_to_verify(wildcards, input):
    """What is stored, and what was recomputed of it; a layout stands for the embedding that is made from it too."""
    folder = Path(verify_folder(wildcards, input))
    pairs = {str(folder.parent / Path(path).relative_to(folder)): path for path in input}
    layouts = {path: again for path, again in pairs.items() if Path(path).name == "layout.parquet"}
    return pairs | {embedding_of(path): again for path, again in layouts.items()}


def embedding_of(layout):
    head, _, tail = layout.rpartition("/layouts/")
    return f"{head}/embeddings/{tail.removesuffix('layout.parquet')}embedding.parquet"
