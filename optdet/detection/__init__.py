"""From words to training targets, and from probability maps back to polygons."""
