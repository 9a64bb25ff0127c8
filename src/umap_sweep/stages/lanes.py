"""How many cells of one graph and UMAP seed are laid out side by side. Plans ask for it, without numba."""

# Four numbers in double precision fill a register of AVX2. Other CPUs take the same bits in more or fewer registers.
LANES = 4
