"""Speed and size against named peers: `python -m benchmarks.<name>`."""
