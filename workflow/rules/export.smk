# Takes the layout of a cell and what describes the rows; makes what other tools read, and a figure to print.


rule export_embedding_atlas:
    """Write one cell for Embedding Atlas, with the neighbours."""
    input:
        layout=LAYOUT_FILE,
        rows=ROWS_FILE,
        knn=checked(KNN_FILE),
    output:
        EXPORTS["embedding_atlas"],
    log:
        f"results/{{dataset}}/logs/export/embedding_atlas/{CELL_FOLDERS}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/export/embedding_atlas/{CELL_FOLDERS}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("sweep"),
        runtime=minutes_of("sweep"),
    params:
        code=code_of("export_embedding_atlas", "layout", "rows", "knn"),
    script:
        "../../scripts/export_embedding_atlas.py"


rule export_projector:
    """Write one cell for TensorBoard's projector."""
    input:
        layout=LAYOUT_FILE,
        rows=checked(ROWS_FILE),
    output:
        vectors=f"{EXPORT}/projector/vectors.tsv",
        metadata=f"{EXPORT}/projector/metadata.tsv",
        config=EXPORTS["projector"],
        pbtxt=f"{EXPORT}/projector/projector_config.pbtxt",
    log:
        f"results/{{dataset}}/logs/export/projector/{CELL_FOLDERS}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/export/projector/{CELL_FOLDERS}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("sweep"),
        runtime=minutes_of("sweep"),
    params:
        code=code_of("export_projector", "layout", "rows"),
        name=name_of_path,
    script:
        "../../scripts/export_projector.py"


rule export_csv:
    """Write one cell as a table for R and spreadsheets."""
    input:
        layout=LAYOUT_FILE,
        rows=checked(ROWS_FILE),
    output:
        EXPORTS["csv"],
    log:
        f"results/{{dataset}}/logs/export/csv/{CELL_FOLDERS}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/export/csv/{CELL_FOLDERS}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("sweep"),
        runtime=minutes_of("sweep"),
    params:
        code=code_of("export_csv", "layout", "rows"),
    script:
        "../../scripts/export_csv.py"


rule plot_cell:
    """Draw one cell at the size at which it is printed."""
    input:
        layout=LAYOUT_FILE,
        rows=checked(ROWS_FILE),
    output:
        [f"{FIGURE}.{ending}" for ending in SETTINGS["figure"]["format"]],
    log:
        f"results/{{dataset}}/logs/figure/{CELL_FOLDERS}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/figure/{CELL_FOLDERS}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=doubling(2500),  # of pixels more than of points
        runtime=doubling(20),
    params:
        code=code_of("plot_cell", "layout", "rows"),
        figure={name: value for name, value in SETTINGS["figure"].items() if name not in ("cell", "format")},
        label_kind=SETTINGS["plot"]["label_kind"],
    script:
        "../../scripts/plot_cell.py"


rule export:
    """Write one cell for other tools."""
    input:
        exports,


rule figure:
    """Draw one cell at the size at which it is printed, in each format."""
    input:
        figure_files,
