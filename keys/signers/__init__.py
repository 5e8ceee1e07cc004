"""Signers over private keys."""
