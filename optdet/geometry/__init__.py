"""Polygons, their offset, their raster, and the letterbox: pixels (x, y), float64 unless said otherwise."""
