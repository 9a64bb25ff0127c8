# Takes the installed package; makes sure that it is there, and of the version that this workflow belongs to.
from os.path import normpath


def where_to_install_from():
    """What pip installs the package from: this workflow's own folder, or the repository that it was fetched from."""
    folder = workflow.current_basedir.join("../..")
    address = folder.get_path_or_uri(secret_free=True)
    if hasattr(folder, "repo_path"):
        return f'"git+file://{folder.repo_path}@{folder.ref}"'
    if hasattr(folder, "repo"):
        host = address.partition(folder.repo)[0]
        return f'"git+{host}{folder.repo}@{folder.ref}"'
    return normpath(address)


try:
    from umap_sweep import __version__ as INSTALLED
except ImportError:
    INSTALLED = None

if INSTALLED != VERSION:
    state = f"{INSTALLED} is installed" if INSTALLED else "it is not installed"
    raise WorkflowError(
        f"This workflow needs the Python package umap-sweep {VERSION}, and {state} where Snakemake runs; "
        f"install it with: python -m pip install {where_to_install_from()}"
    )
