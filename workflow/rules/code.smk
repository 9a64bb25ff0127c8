# Takes the scripts and the package; makes the code of each rule a param, and so a part of its results' key.
import json
import os
from functools import cache

from snakemake.sourcecache import GenericSourceFile, LocalGitFile, LocalSourceFile
from umap_sweep import code
from umap_sweep.cells.keys import settings_of_stage


@cache
def digest_of(script):
    """Found where a run is planned; the processes of Snakemake that its jobs start inherit it, because it takes a while."""
    name = f"UMAP_SWEEP_CODE_OF_{script}"
    if workflow.is_main_process or name not in os.environ:
        os.environ[name] = json.dumps(code.of_script(workflow.source_path(f"../../scripts/{script}.py")))
    return json.loads(os.environ[name])


def code_of(script, *stages, preparations=None):
    """The digest of a script and of the modules that it uses, and the versions of the libraries they compute with.

    And the same of the stages that the job reads, with their settings: it takes no file that was made otherwise. Of
    prepared data these are the steps of the preparation in the job's path, or of those whose names are given.
    """

    def code(wildcards):
        made = {
            stage: digest_of("fetch" if stage == "data" else stage) | {"key": settings_of_stage(stage, SETTINGS)}
            for stage in stages
        }
        if "prepared" in made:
            names = preparations or [wildcards.preparation]
            made["prepared"]["by"] = {"preparation": {name: {"steps": STEPS[name]} for name in names}}
        return digest_of(script) | ({"reads": made} if made else {})

    return code


def leave_scripts_to_digests():
    """Keep Snakemake from running a job again because its script is newer than its results.

    A checkout or a copy makes scripts newer and changes no result; a change that does is in the params. Snakemake looks
    at the time of local scripts alone, so it is told that those of these rules may be anywhere.
    """
    folder = workflow.current_basedir.join("rules")
    for one in workflow.rules:
        if one.script and one.basedir == folder:
            if isinstance(folder, LocalSourceFile):
                one.basedir = GenericSourceFile(folder.get_path_or_uri(secret_free=True))
            elif isinstance(folder, LocalGitFile):
                # Snakemake 9.27 cannot join the path of a script to a folder in a local repository.
                one.script = folder.join(one.script).get_path_or_uri(secret_free=True)
