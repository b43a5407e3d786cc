"""Placeholder."""
def unavailable(device, dtype): return "not written yet"
def about(): return ""
