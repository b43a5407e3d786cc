"""Ways to go on with fewer patches in a tower of scans, a file each; they keep the scan's order."""
