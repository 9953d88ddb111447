"""Planning (pure): from what a stream offers and what is wanted to exactly which bytes, and where they go.

Reads `playlist` values and returns values; the network, the disk and the clock are other rooms' business.
"""
