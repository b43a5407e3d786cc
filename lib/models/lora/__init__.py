"""Low-rank adapters on linear layers, their files, and the original report's forms of them."""
