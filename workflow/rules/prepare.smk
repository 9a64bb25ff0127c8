# Takes the data; makes what a list of steps makes of it, `prepared.parquet`, and what they take from it to do the same to
# other rows, `fitted.parquet`, where the grid has preparations.


rule prepared:
    """Prepare the data: normalise, take logarithms, select columns, scale, project."""
    input:
        data=checked(DATA_FILE),
    output:
        prepared=PREPARED_FILE,
        fitted=FITTED_FILE,
    log:
        "results/{dataset}/logs/prepared/preparation={preparation}.log",
    benchmark:
        "results/{dataset}/benchmarks/prepared/preparation={preparation}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=prepared_mem_mb,
        runtime=doubling(60),
    params:
        code=code_of("prepared", "data"),
        steps=steps_of_preparation,
        held=HELD,
    script:
        "../../scripts/prepared.py"


rule explained_variance:
    """Tell how much of the variance each principal component explains."""
    input:
        prepared=[PREPARED_FILE.format(dataset=DATASET, preparation=name) for name in PROJECTED],
    output:
        parquet=f"results/{DATASET}/explained_variance.parquet",
        csv=report(
            f"results/{DATASET}/explained_variance.csv",
            caption="../report/explained_variance_table.rst",
            category="Data",
            labels={"table": "explained variance", "dataset": DATASET},
        ),
    log:
        f"results/{DATASET}/logs/explained_variance.log",
    benchmark:
        f"results/{DATASET}/benchmarks/explained_variance.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("shortlist"),
        runtime=minutes_of("shortlist"),
    params:
        code=code_of("explained_variance", "prepared", preparations=PROJECTED),
    script:
        "../../scripts/explained_variance.py"


rule plot_explained_variance:
    """Draw how much of the variance the principal components explain."""
    input:
        explained=f"results/{DATASET}/explained_variance.parquet",
    output:
        png=report(
            f"results/{DATASET}/plots/explained_variance.png",
            caption="../report/explained_variance.rst",
            category="Data",
            labels={"figure": "explained variance", "dataset": DATASET},
        ),
        vector=f"results/{DATASET}/plots/explained_variance.{SETTINGS['plot']['vector_format']}",
    log:
        f"results/{DATASET}/logs/plots/explained_variance.log",
    benchmark:
        f"results/{DATASET}/benchmarks/plots/explained_variance.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_stability"),
        runtime=minutes_of("plot_stability"),
    params:
        code=code_of("plot_explained_variance", "explained_variance"),
        dataset=DATASET,
        dpi=SETTINGS["plot"]["dpi"],
    script:
        "../../scripts/plot_explained_variance.py"
