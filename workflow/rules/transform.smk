# Takes a cell and new rows; makes `transformed/…/embedding.parquet`, where these come to lie on it, metrics, a figure and a page.


rule transform:
    """Place new rows on a finished cell."""
    input:
        placed_new_rows,


rule new_rows:
    """Place new rows on a cell as umap-learn's transform does."""
    input:
        data=checked(FEATURES_FILE),
        fitted=FITTED_FILES,
        knn=KNN_FILE,
        layout=LAYOUT_FILE,
        new_data=new_data,
        new_rows=new_rows_rows,
    output:
        placed=NEW_ROWS_FILE,
        neighbors=NEW_NEIGHBORS_FILE,
    log:
        f"results/{{dataset}}/logs/transformed/{{new}}/{CELL_FOLDERS}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/transformed/{{new}}/{CELL_FOLDERS}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    # As many as there are, up to this; they change no bit.
    threads: 4
    resources:
        mem_mb=new_rows_mem_mb,
        runtime=new_rows_minutes,
    params:
        code=code_of("new_rows", *STORED, "rows", "knn", "layout"),
        name="{new}",
        n_neighbors="{n_neighbors}",
        min_dist="{min_dist}",
        metric="{metric}",
        umap=only(
            "metric_kwds",
            "n_epochs",
            "spread",
            "local_connectivity",
            "repulsion_strength",
            "learning_rate",
            "negative_sample_rate",
            "disconnection_distance",
        ),
        seed=SETTINGS["transform"]["seed"],
        together=SETTINGS["transform"]["together"],
        held=HELD,
    script:
        "../../scripts/new_rows.py"


rule new_rows_metrics:
    """Measure how new rows lie on a cell."""
    input:
        layout=LAYOUT_FILE,
        rows=checked(ROWS_FILE),
        placed=NEW_ROWS_FILE,
        new_rows=new_rows_rows,
    output:
        f"{NEW_ROWS_FOLDER}/metrics.parquet",
    log:
        f"results/{{dataset}}/logs/transformed/{{new}}/{CELL_FOLDERS}/metrics.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/transformed/{{new}}/{CELL_FOLDERS}/metrics.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("cell_metrics"),
        runtime=minutes_of("cell_metrics"),
    params:
        code=code_of("new_rows_metrics", "new_rows", "rows", "layout"),
        label_kind=SETTINGS["plot"]["label_kind"],
    script:
        "../../scripts/new_rows_metrics.py"


rule plot_new_rows:
    """Draw new rows over the cell."""
    input:
        layout=LAYOUT_FILE,
        rows=ROWS_FILE,
        placed=NEW_ROWS_FILE,
        metrics=f"{NEW_ROWS_FOLDER}/metrics.parquet",
    output:
        png=report(
            f"{NEW_ROWS_FOLDER}/transform.png",
            caption="../report/transform.rst",
            category="New rows",
            labels={"figure": "{new}", "dataset": "{dataset}"},
        ),
        vector=f"{NEW_ROWS_FOLDER}/transform.{SETTINGS['plot']['vector_format']}",
    log:
        f"results/{{dataset}}/logs/transformed/{{new}}/{CELL_FOLDERS}/plot.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/transformed/{{new}}/{CELL_FOLDERS}/plot.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_instability"),
        runtime=minutes_of("plot_instability"),
    params:
        code=code_of("plot_new_rows", "new_rows", "new_rows_metrics", "rows", "layout"),
        plot=plot_settings,
        dataset="{dataset}",
        name="{new}",
        cell=CELL_IN_WORDS,
    script:
        "../../scripts/plot_new_rows.py"


rule atlas_new_rows:
    """Make the page that shows new rows over the cell."""
    input:
        rows=checked(ROWS_FILE),
        knn=KNN_FILE,
        layout=LAYOUT_FILE,
        placed=NEW_ROWS_FILE,
        neighbors=NEW_NEIGHBORS_FILE,
        new_rows=new_rows_rows,
    output:
        f"{NEW_ROWS_FOLDER}/transform.html",
    log:
        f"results/{{dataset}}/logs/transformed/{{new}}/{CELL_FOLDERS}/atlas.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/transformed/{{new}}/{CELL_FOLDERS}/atlas.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=page_of_new_rows_mem_mb,
        runtime=page_of_new_rows_minutes,
    params:
        code=code_of("atlas_new_rows", "rows", "knn", "layout", "new_rows"),
        dataset="{dataset}",
        name="{new}",
        metric="{metric}",
        cell=cell_of_path,
        shared=copied(SETTINGS),
        atlas=SETTINGS["atlas"],
        label_kind=SETTINGS["plot"]["label_kind"],
    script:
        "../../scripts/atlas_new_rows.py"
