# Takes the configuration; makes every stage once more and compares it with what is stored, and `fingerprints.json`.
#
# Everything once more, into a folder of its own. Nothing here reads or writes a stored result, except `verify` itself,
# which holds the two against each other. Other numbers of threads than the sweep's must not matter, nor the order: the
# cells that a sweep starts last come first here, each from end to end, where a sweep makes all graphs before a layout.


use rule fetch as fetch_again with:
    """Read the data set once more."""
    input:
        unpack(source_once_more),
    output:
        again(DATA_FILE),
    log:
        "results/{dataset}/logs/verify/fetch.log",
    benchmark:
        "results/{dataset}/benchmarks/verify/fetch.tsv"
    params:
        download=stored_downloads,


use rule prepared as prepared_again with:
    """Prepare the data once more."""
    input:
        data=again(DATA_FILE),
    output:
        prepared=again(PREPARED_FILE),
        fitted=again(FITTED_FILE),
    log:
        "results/{dataset}/logs/verify/prepared/preparation={preparation}.log",
    benchmark:
        "results/{dataset}/benchmarks/verify/prepared/preparation={preparation}.tsv"
    threads: 2


use rule knn as knn_again with:
    """Compute the k-NN once more."""
    input:
        data=again(FEATURES_FILE),
        imported=imported_knn,
        rows=rows_of_imported_knn,
    output:
        again(KNN_FILE),
    log:
        f"results/{{dataset}}/logs/verify/knn/{SEARCHED}/{KNN}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/verify/knn/{SEARCHED}/{KNN}.tsv"
    priority: last_cells_first
    threads: 2


use rule graph as graph_again with:
    """Make a graph once more."""
    input:
        knn=again(KNN_FILE),
        rows=rows_of_target,
    output:
        edges=again(EDGES_FILE),
        vertices=again(VERTICES_FILE),
    log:
        f"results/{{dataset}}/logs/verify/graph/{GRAPH}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/verify/graph/{GRAPH}.tsv"
    priority: last_cells_first
    threads: 2


use rule initial_layout as initial_layout_again with:
    """Make an initial layout once more."""
    input:
        data=again(FEATURES_FILE),
        knn=again(KNN_FILE),
        edges=again(EDGES_FILE),
        vertices=again(VERTICES_FILE),
    output:
        again(INITIAL_LAYOUT_FILE),
    log:
        f"results/{{dataset}}/logs/verify/initial_layout/{START}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/verify/initial_layout/{START}.tsv"
    priority: last_cells_first
    threads: 2


use rule layout as layout_again with:
    """Lay out a cell once more."""
    input:
        edges=again(EDGES_FILE),
        vertices=again(VERTICES_FILE),
        initial_layout=again(INITIAL_LAYOUT_FILE),
    output:
        layouts=[again(LAYOUT_FILE)],
        costs=[again(COST_FILE)],
    log:
        f"results/{{dataset}}/logs/verify/layouts/{CELL_FOLDERS}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/verify/layouts/{CELL_FOLDERS}.tsv"
    priority: last_cells_first


use rule new_rows as new_rows_again with:
    """Place new rows once more, those that are stored, on what is made once more."""
    input:
        data=again(FEATURES_FILE),
        fitted=[again(path) for path in FITTED_FILES],
        knn=again(KNN_FILE),
        layout=again(LAYOUT_FILE),
        new_data=new_data,
        new_rows=new_rows_rows,
    output:
        placed=again(NEW_ROWS_FILE),
        neighbors=again(NEW_NEIGHBORS_FILE),
    log:
        f"results/{{dataset}}/logs/verify/transformed/{{new}}/{CELL_FOLDERS}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/verify/transformed/{{new}}/{CELL_FOLDERS}.tsv"
    threads: 2


# It has no output, because the table must survive its failure, and removes what it compared, so that it always runs. A
# benchmark would count as an output, and the next run would have nothing to do.
rule verify:
    """Compute everything once more and compare it, bit by bit; fail where something differs."""
    input:
        recomputed_stages,
    log:
        f"results/{DATASET}/logs/verify.log",
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(60),
    params:
        **SETTINGS["verify"],
        code=code_of("verify"),
        stored=stages_to_verify,
        folder=verify_folder,
    script:
        "../../scripts/verify.py"


rule fingerprints:
    """Record the fingerprints that `verify` later holds a rerun against: a file to commit."""
    input:
        all_stages,
    output:
        local(SETTINGS["verify"]["fingerprints"]),
    log:
        f"results/{DATASET}/logs/fingerprints.log",
    benchmark:
        f"results/{DATASET}/benchmarks/fingerprints.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(30),
    params:
        code=code_of("fingerprints"),
    script:
        "../../scripts/fingerprints.py"
