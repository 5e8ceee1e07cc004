"""Key rotation, withdrawal and outages under a virtual clock, judged by an independent oracle."""
