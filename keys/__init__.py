"""Own the key side of the house: JOSE parsing and public keys below, signing keys and their life above."""
