# Takes data and k-NN; makes graphs, initial layouts and, cell by cell, `layout.parquet`.


rule graph:
    """Prune the k-NN to one n_neighbors, and make its fuzzy graph."""
    input:
        knn=checked(KNN_FILE),
        rows=rows_of_target,
    output:
        edges=EDGES_FILE,
        vertices=VERTICES_FILE,
    log:
        f"results/{{dataset}}/logs/graph/{GRAPH}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/graph/{GRAPH}.tsv"
    priority: longest_first_of_graphs
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of(GRAPH_JOB, "n_neighbors"),
        runtime=minutes_of(GRAPH_JOB, "n_neighbors"),
    params:
        code=code_of("graph", "knn", *(["rows"] if "target" in SETTINGS["umap"] else [])),
        umap=only("n_components", "n_epochs", "init", "set_op_mix_ratio", "local_connectivity", *OF_GRAPH),
        held=HELD,
    script:
        "../../scripts/graph.py"


rule initial_layout:
    """Place every point where the layout starts, for one n_neighbors and seed."""
    input:
        data=checked(FEATURES_FILE),
        knn=KNN_FILE,
        edges=EDGES_FILE,
        vertices=VERTICES_FILE,
    output:
        INITIAL_LAYOUT_FILE,
    log:
        f"results/{{dataset}}/logs/initial_layout/{START}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/initial_layout/{START}.tsv"
    priority: longest_first_of_graphs
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("initial_layout"),
        runtime=minutes_of("initial_layout"),
    params:
        code=code_of("initial_layout", FEATURES, "knn", "graph"),
        umap=only("n_components", "init", "metric_kwds", "densmap"),
        held=HELD,
    script:
        "../../scripts/initial_layout.py"


rule layout:
    """Lay out one cell."""
    input:
        edges=EDGES_FILE,
        vertices=VERTICES_FILE,
        initial_layout=checked(INITIAL_LAYOUT_FILE),
    output:
        layouts=[LAYOUT_FILE],
        costs=[COST_FILE],
    log:
        f"results/{{dataset}}/logs/layouts/{CELL_FOLDERS}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/layouts/{CELL_FOLDERS}.tsv"
    priority: longest_first
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("layout"),
        runtime=minutes_of("layout"),
    params:
        code=code_of("layout", "graph", "initial_layout"),
        key=row_key,
        min_dist=min_dists,
        umap=only(*OF_LAYOUTS),
    script:
        "../../scripts/layout.py"
