"""Own the list of private keys that the whole world has: those printed in RFCs.

Whoever signs with one of them lets everybody sign.
"""

PUBLISHED_TEST_KEYS = {
    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": "RFC 7517 A.2 and RFC 7638 §3.1",
    "IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8": "RFC 7515 A.2",
    "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI": "RFC 7520 §3.4",
}
"""RFC 7638 thumbprint to the document that prints the private key."""
