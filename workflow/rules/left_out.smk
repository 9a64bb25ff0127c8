# Takes layouts of the sweep, and those of its data without a tenth of the rows; makes `left_out.parquet`.


rule left_out:
    """Tell which neighbours stay where a tenth of the rows is left out."""
    input:
        whole=one_a_cell(LAYOUT_FILE, CELLS.of_first_seeds),
        data=subsamples,
        layouts=one_a_cell(LAYOUT_FILE, CELLS.table),
        remaining=layouts_of_subsamples,
    output:
        parquet=f"results/{DATASET}/left_out.parquet",
        csv=report(
            f"results/{DATASET}/left_out.csv",
            caption="../report/left_out_table.rst",
            category="Stability",
            labels={"table": "without a tenth of the rows", "dataset": DATASET},
        ),
    log:
        f"results/{DATASET}/logs/left_out.log",
    benchmark:
        f"results/{DATASET}/benchmarks/left_out.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("cell_metrics"),
        # In each draw a layout of all rows is looked at with those of other seeds, and with that of the draw.
        runtime=minutes_of("cell_metrics", times=2 * len(SUBSAMPLES)),
    params:
        code=code_of("left_out", "layout", "data"),
    script:
        "../../scripts/left_out.py"
