"""The parts of the brain-tumor study that a reader of its script may take for granted."""
