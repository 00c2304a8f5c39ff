"""Do a protein and bone density share their causal variants? Clumping, fine-mapping, colocalisation, SMR: one locus."""

from pathlib import Path

import dxa_causal as dc

# Real genotypes (1000 Genomes, 502 Europeans); two GWAS simulated on their linkage disequilibrium.
panel = dc.genotypes.read_panel(Path(__file__).parents[1] / "analyses/05_mr_bone_muscle/panel/eur", build="GRCh37")
gwas = dc.simulate.gwas(
    panel,
    {"protein": {"rs9442392": 0.15, "rs7513405": -0.10}, "bmd": {"rs9442392": -0.03, "rs7513405": 0.02}},
    n={"protein": 35_000, "bmd": 426_824},
    seed=1,
)
protein, bmd = (frame.assign(type="quant", sdY=1.0) for frame in gwas.values())

print(dc.mr.clump(protein, panel, r2=0.01, kb=10_000, p1=5e-8).tidy())

ld = dc.genotypes.ld(panel, protein, missing="mean")
print(dc.mr.ld_check(protein, ld).glance())
print(dc.mr.susie(protein, ld=ld).tidy())
print(dc.mr.coloc_abf(protein, bmd).tidy())  # one causal variant per trait: not so here
print(dc.mr.coloc_susie(protein, bmd, ld=ld).tidy())
print(dc.mr.smr(protein, bmd, ld=ld).tidy())
