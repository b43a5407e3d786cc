"""Latency, memory and FLOPs of callables. No profiler knows a model."""
