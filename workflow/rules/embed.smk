rule graph:
    input:
        knn=KNN_FILE,
    output:
        edges=f"{GRAPH_FOLDER}/edges.parquet",
        vertices=f"{GRAPH_FOLDER}/vertices.parquet",
    log:
        f"results/{{dataset}}/logs/graph/metric={{metric}}/{KNN}/n_neighbors={{n_neighbors}}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/graph/metric={{metric}}/{KNN}/n_neighbors={{n_neighbors}}.tsv"
    priority: longest_first_of_graphs
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("graph", "n_neighbors"),
        runtime=minutes_of("graph", "n_neighbors"),
    params:
        umap=only("n_components", "n_epochs", "init", "set_op_mix_ratio", "local_connectivity"),
        held=HELD,
    script:
        "../../scripts/graph.py"


rule initial_layout:
    input:
        data=DATA_FILE,
        knn=KNN_FILE,
        edges=f"{GRAPH_FOLDER}/edges.parquet",
        vertices=f"{GRAPH_FOLDER}/vertices.parquet",
    output:
        INITIAL_LAYOUT_FILE,
    log:
        f"results/{{dataset}}/logs/initial_layout/metric={{metric}}/{KNN}/n_neighbors={{n_neighbors}}/seed={{seed}}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/initial_layout/metric={{metric}}/{KNN}/n_neighbors={{n_neighbors}}/seed={{seed}}.tsv"
    priority: longest_first_of_graphs
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("initial_layout"),
        runtime=minutes_of("initial_layout"),
    params:
        umap=only("n_components", "init", "metric_kwds"),
        held=HELD,
    script:
        "../../scripts/initial_layout.py"


rule embedding:
    input:
        data=DATA_FILE,
        edges=f"{GRAPH_FOLDER}/edges.parquet",
        vertices=f"{GRAPH_FOLDER}/vertices.parquet",
        initial_layout=INITIAL_LAYOUT_FILE,
    output:
        EMBEDDING_FILE,
    log:
        f"results/{{dataset}}/logs/embeddings/{CELLS.wildcard_pattern}.log",
    benchmark:
        EMBEDDING_BENCHMARK
    priority: longest_first
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("embedding"),
        runtime=minutes_of("embedding"),
    params:
        key=embedding_key,
        umap=only("n_components", "spread", "repulsion_strength", "learning_rate", "negative_sample_rate"),
    script:
        "../../scripts/embedding.py"
