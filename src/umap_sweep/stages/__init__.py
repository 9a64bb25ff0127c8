"""From data to embeddings, stage by stage: k-NN, fuzzy graph, initial layout, layout."""
