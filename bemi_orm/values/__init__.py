"""Values as the model has them: images to instances, diffs, and texts for people."""
