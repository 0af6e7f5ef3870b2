"""Synthetic photographs of receipts with exact word quads: made on the spot, without a download.

The way of a picture: ``content`` (which rows stand on the receipt) -> ``layout`` (where each word is printed)
-> ``paper`` (ink, fading, creases) -> ``camera`` (perspective, light, noise; ``background``).
``receipts`` renders one picture, ``dataset`` writes a labelled folder of them.

Randomness: every picture depends on (seed, split, index, size, difficulty) and on nothing else.
"""
