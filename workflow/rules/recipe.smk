# Takes one cell and what it was made from; makes `recipe`, a folder that makes it again with umap-learn alone.
rule recipe_of_cell:
    """Write one cell's recipe. In no other target, because it holds the data once more."""
    input:
        data=checked(FEATURES_FILE),
        rows=ROWS_FILE,
        knn=knn_of_recipe,
        layout=LAYOUT_FILE,
    output:
        RECIPE,
    log:
        f"results/{{dataset}}/logs/recipe/{CELL_FOLDERS}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/recipe/{CELL_FOLDERS}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=fetch_mem_mb,
        runtime=doubling(30),
    params:
        code=code_of("recipe", FEATURES, "rows", "knn", "layout"),
    script:
        "../../scripts/recipe.py"


rule recipe:
    """Write the recipe of the cell that `recipe.cell` names."""
    input:
        recipe_files,
