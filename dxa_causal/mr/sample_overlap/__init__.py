"""Samples that overlap and effects that were selected: LD score regression, corrections, designs."""
