"""The server process: workers, HTTP protocol, signals, start-up checks."""
