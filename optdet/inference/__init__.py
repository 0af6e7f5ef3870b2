"""A frozen detector at work: images -> probability maps -> detections."""
