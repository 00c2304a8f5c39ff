"""Tables, figures and the self-contained HTML page of a run."""

from dxa_causal.report.blocks import Block, BlockWriter, read_block
from dxa_causal.report.figures import write_figure
from dxa_causal.report.page import write_page
from dxa_causal.report.strobe_mr import strobe_mr
from dxa_causal.report.tables import html_table, write_table

__all__ = ["Block", "BlockWriter", "html_table", "read_block", "strobe_mr", "write_figure", "write_page", "write_table"]
