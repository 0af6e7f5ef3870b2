"""Labels, images, predictions and everything that turns them into batches.

Names of images are compared in Unicode NFC; polygons are float64 (N, 2) in image pixels, with the EXIF
orientation applied, in the vertex order of the label file.
"""
