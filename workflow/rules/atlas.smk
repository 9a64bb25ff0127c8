rule atlas:
    input:
        unpack(comparisons_in_atlas),
        data=DATA_FILE,
        knn=widest_knn,
        embeddings=embeddings,
        page=[
            workflow.source_path(f"../../scripts/atlas_page/{name}")
            for name in ("page.html", "atlas.css", "painter.js", "atlas.js")
        ],
    output:
        "results/{dataset}/atlas.html",
    log:
        "results/{dataset}/logs/atlas.log",
    benchmark:
        "results/{dataset}/benchmarks/atlas.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    params:
        dataset="{dataset}",
        metric=SETTINGS["knn"]["metric"],
        cells=CELLS.dataframe.to_dict("records"),
        shared=copied_settings(),
        atlas=SETTINGS["atlas"],
        label_kind=SETTINGS["plot"]["label_kind"],
    script:
        "../../scripts/atlas.py"
