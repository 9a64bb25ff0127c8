# Takes what `layout` takes, for several cells of one row of the grid; makes their `layout.parquet` in one job.
#
# Each of these rules has the name of its min_dist, and stands in the place of the rule that lays out one cell.
for SINGLE, COLUMNS, BELOW, PRIORITY in TOGETHER:
    JOB = CELL_FOLDERS.replace("{min_dist}", "_".join(COLUMNS))

    rule:
        """Lay out several cells of one row of the grid."""
        name:
            layout_jobs.job_name(SINGLE, COLUMNS)
        input:
            edges=placed(EDGES_FILE, BELOW),
            vertices=placed(VERTICES_FILE, BELOW),
            initial_layout=start_of_cells(COLUMNS, BELOW),
        output:
            layouts=of_columns(placed(LAYOUT_FILE, BELOW), COLUMNS),
            costs=of_columns(placed(COST_FILE, BELOW), COLUMNS),
        log:
            f"results/{{dataset}}/logs/{BELOW}layouts/{JOB}.log",
        benchmark:
            f"results/{{dataset}}/benchmarks/{BELOW}layouts/{JOB}.tsv"
        wildcard_constraints:
            **of_their_rows(COLUMNS),
        priority: PRIORITY
        conda:
            "../../envs/umap-sweep.yaml"
        resources:
            mem_mb=memory_of("layout", laid_out=len(COLUMNS)),
            runtime=minutes_of("layout", laid_out=len(COLUMNS)),
        params:
            code=code_of("layout", "graph", "initial_layout"),
            key=row_key,
            min_dist=min_dists,
            umap=only(*OF_LAYOUTS),
        script:
            "../../scripts/layout.py"

    take_over(SINGLE, layout_jobs.job_name(SINGLE, COLUMNS))
