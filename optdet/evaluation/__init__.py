"""Probability maps or detections, and labels -> scores: at one configuration or many. No torch here."""
