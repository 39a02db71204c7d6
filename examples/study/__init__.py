"""Parts of the brain-tumor study, in the order of use: settings, data, folds, networks, ..."""
