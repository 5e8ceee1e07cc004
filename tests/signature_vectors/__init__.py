"""Makes `tests/vectors/signatures/`: good and forged signatures, in the form of Wycheproof's files.

Nothing of the product is used: RSA, ECDSA and Ed25519 are plain arithmetic, so that a signature can
be wrong in exactly one place. Everything but ML-DSA, whose signatures are randomised, comes out the
same each time.
"""
