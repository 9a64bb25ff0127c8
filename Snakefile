# The workflow is in workflow/, where the Snakemake workflow catalog looks for it, too.
include: "workflow/Snakefile"


if not IMPORTED:
    # What is included is no default target by itself.
    workflow.default_target = "all"
