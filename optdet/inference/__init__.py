"""A trained detector at work: images -> probability maps -> detections."""
