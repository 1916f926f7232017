"""What Weights & Biases is told of a run, and how it gets there without the run waiting for a server."""
