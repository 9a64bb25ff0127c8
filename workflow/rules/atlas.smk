# Takes all of a sweep; makes `atlas.html`.


rule atlas:
    """Make the page that shows all cells, linked."""
    input:
        unpack(comparisons_in_atlas),
        data=DATA_FILE,
        rows=ROWS_FILE,
        knn=widest_knn,
        layouts=layouts,
    output:
        "results/{dataset}/atlas.html",
    log:
        "results/{dataset}/logs/atlas.log",
    benchmark:
        "results/{dataset}/benchmarks/atlas.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("atlas"),
        runtime=minutes_of("atlas"),
    params:
        code=code_of("atlas"),
        dataset="{dataset}",
        metric=SETTINGS["knn"]["metric"],
        cells=as_records(CELLS.table),
        shared=copied(SETTINGS),
        atlas=SETTINGS["atlas"],
        label_kind=SETTINGS["plot"]["label_kind"],
    script:
        "../../scripts/atlas.py"
