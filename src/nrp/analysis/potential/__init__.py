"""The landscape of a potential: stationary points and basins, branches with folds, minimum-energy paths."""
