"""How good detections are: CLEval, IoU matching, scores over images, bootstrap."""
