"""Figures: frames and arrays in, matplotlib Axes out. Import the file of the figure you want."""
