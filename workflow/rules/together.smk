# Takes what `embedding` takes, for several cells of one row of the grid; makes their `embedding.parquet` in one job.
#
# Each of these rules has the name of its min_dist, and stands in the place of the rule that lays out one cell.
for SINGLE, COLUMNS, BELOW, PRIORITY in TOGETHER:
    JOB = CELL_FOLDERS.replace("{min_dist}", "_".join(COLUMNS))

    rule:
        """Lay out several cells of one row of the grid."""
        name:
            layout_jobs.job_name(SINGLE, COLUMNS)
        input:
            data=placed(DATA_FILE, BELOW),
            edges=placed(EDGES_FILE, BELOW),
            vertices=placed(VERTICES_FILE, BELOW),
            initial_layout=start_of_cells(COLUMNS, BELOW),
        output:
            embeddings=of_columns(placed(EMBEDDING_FILE, BELOW), COLUMNS),
            costs=of_columns(placed(COST_FILE, BELOW), COLUMNS),
        log:
            f"results/{{dataset}}/logs/{BELOW}embeddings/{JOB}.log",
        benchmark:
            f"results/{{dataset}}/benchmarks/{BELOW}embeddings/{JOB}.tsv"
        wildcard_constraints:
            **of_their_rows(COLUMNS),
        priority: PRIORITY
        conda:
            "../../envs/umap-sweep.yaml"
        resources:
            mem_mb=memory_of("embedding", laid_out=len(COLUMNS)),
            runtime=minutes_of("embedding", laid_out=len(COLUMNS)),
        params:
            code=code_of("embedding"),
            key=row_key,
            min_dist=min_dists,
            umap=only("n_components", "spread", "repulsion_strength", "learning_rate", "negative_sample_rate"),
        script:
            "../../scripts/embedding.py"

    take_over(SINGLE, layout_jobs.job_name(SINGLE, COLUMNS))
