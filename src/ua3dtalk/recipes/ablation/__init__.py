"""The paper's ablation and ours: rows, cells, runs, table."""
