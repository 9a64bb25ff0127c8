# Takes all of a sweep; makes `atlas.html`.


rule atlas:
    """Make the page that shows all cells, linked."""
    input:
        unpack(comparisons_in_atlas),
        data=DATA_FILE.format(dataset=DATASET),
        rows=ROWS_FILE.format(dataset=DATASET),
        knn=widest_knn,
        layouts=layouts,
    output:
        f"results/{DATASET}/atlas.html",
    log:
        f"results/{DATASET}/logs/atlas.log",
    benchmark:
        f"results/{DATASET}/benchmarks/atlas.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("atlas"),
        runtime=minutes_of("atlas"),
    params:
        code=code_of(
            "atlas", "data", "rows", "knn", "layout", "metrics", "cell_metrics", "seed_pairs", "shortlist", "null"
        ),
        dataset=DATASET,
        metric=SETTINGS["knn"]["metric"],
        cells=as_records(CELLS.table),
        shared=copied(SETTINGS),
        atlas=SETTINGS["atlas"],
        label_kind=SETTINGS["plot"]["label_kind"],
    script:
        "../../scripts/atlas.py"
