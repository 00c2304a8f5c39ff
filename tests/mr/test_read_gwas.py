"""Every layout on a tiny file with its own header, and every refusal."""

import gzip
import math

import numpy as np
import pyarrow as pa
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.warnings import SummaryStatisticsWarning
from dxa_causal.mr.reading import read_gwas
from dxa_causal.mr.reading.blocks import read_blocks

# z = 5 everywhere: beta 0.1, se 0.02, p 5.733e-7, -log10 p 6.2416; effect allele A, other G, eaf 0.3, chr 1, 1000.
P, LP = "5.733031e-07", "6.241616"
FILES = {
    "gwas-ssf": (
        "chromosome\tbase_pair_location\teffect_allele\tother_allele\tbeta\tstandard_error\teffect_allele_frequency\t"
        "p_value\trsid\tn",
        f"1\t1000\tA\tG\t0.1\t0.02\t0.3\t{P}\trs1\t500",
    ),
    "finngen": (
        "#chrom\tpos\tref\talt\trsids\tnearest_genes\tpval\tmlogp\tbeta\tsebeta\taf_alt\taf_alt_cases\taf_alt_controls",
        f"1\t1000\tG\tA\trs1,rs2\tX\t{P}\t{LP}\t0.1\t0.02\t0.3\t0.3\t0.3",
    ),
    "neale": (
        "variant\tminor_allele\tminor_AF\tlow_confidence_variant\tn_complete_samples\tAC\tytx\tbeta\tse\ttstat\tpval",
        f"1:1000:G:A\tA\t0.3\tfalse\t500\t300\t1\t0.1\t0.02\t5\t{P}",
    ),
    "pan-ukb": (
        "chr\tpos\tref\talt\taf_EUR\tbeta_EUR\tse_EUR\tneglog10_pval_EUR\tlow_confidence_EUR",
        f"1\t1000\tG\tA\t0.3\t0.1\t0.02\t{LP}\tfalse",
    ),
    "regenie": (
        "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ INFO N TEST BETA SE CHISQ LOG10P EXTRA",
        f"1 1000 rs1 G A 0.3 1 500 ADD 0.1 0.02 25 {LP} NA",
    ),
    "saige": (
        "CHR POS MarkerID Allele1 Allele2 AC_Allele2 AF_Allele2 MissingRate BETA SE Tstat var p.value N",
        f"1 1000 rs1 G A 300 0.3 0 0.1 0.02 5 1 {P} 500",
    ),
    "bolt-lmm": (
        "SNP\tCHR\tBP\tGENPOS\tALLELE1\tALLELE0\tA1FREQ\tF_MISS\tBETA\tSE\tP_BOLT_LMM_INF\tP_BOLT_LMM",
        f"rs1\t1\t1000\t0.1\tA\tG\t0.3\t0\t0.1\t0.02\t{P}\t{P}",
    ),
    "metal": (
        "MarkerName\tAllele1\tAllele2\tFreq1\tFreqSE\tEffect\tStdErr\tP-value\tDirection",
        f"rs1\ta\tg\t0.3\t0\t0.1\t0.02\t{P}\t++",
    ),
    "fastgwa": ("CHR\tSNP\tPOS\tA1\tA2\tN\tAF1\tBETA\tSE\tP", f"1\trs1\t1000\tA\tG\t500\t0.3\t0.1\t0.02\t{P}"),
    "plink2": (
        "#CHROM\tPOS\tID\tREF\tALT\tA1\tA1_FREQ\tTEST\tOBS_CT\tOR\tLOG(OR)_SE\tZ_STAT\tP\tERRCODE",
        f"1\t1000\trs1\tA\tG\tA\t0.3\tADD\t500\t{math.exp(0.1)}\t0.02\t5\t{P}\t.\n"
        f"1\t1000\trs1\tA\tG\tA\t0.3\tAGE\t500\t1\t0.02\t5\t{P}\t.",
    ),
    "plink1": (
        " CHR SNP BP A1 A2 TEST NMISS OR SE L95 U95 STAT P",
        f"   1  rs1  1000  A G  ADD  500  {math.exp(0.1)}  0.02 1 1.2  5  {P} ",
    ),
    "daner": (
        "CHR\tSNP\tBP\tA1\tA2\tFRQ_A_200\tFRQ_U_300\tINFO\tOR\tSE\tP",
        f"1\trs1\t1000\tA\tG\t0.31\t0.3\t1\t{math.exp(0.1)}\t0.02\t{P}",
    ),
    "mach2qtl": (
        "chr MARKER ALLELES FREQ1 RSQR EFFECT1_a STDERR_a CHISQ_a PVALUE_a",
        f"1 rs1 A,G .3 .99 0.1 0.02 25 {P}",
    ),
    "epacts": (
        "#CHROM\tBEG\tEND\tMARKER_ID\tNS\tAC\tCALLRATE\tGENOCNT\tMAF\tSTAT\tPVALUE\tBETA\tSEBETA\tR2",
        f"1\t1000\t1000\t1:1000_G/A_rs1\t500\t300\t1\t1/2/3\t0.3\t5\t{P}\t0.1\t0.02\t0.1",
    ),
    "twosamplemr": (
        "SNP\teffect_allele.exposure\tother_allele.exposure\teaf.exposure\tbeta.exposure\tse.exposure\tpval.exposure\t"
        "exposure",
        f"rs1\tA\tG\t0.3\t0.1\t0.02\t{P}\tfat",
    ),
    "table": ("snp,chr,pos,ea,oa,eaf,log_or,stderr,pvalue,n", f"rs1,chr1,1000,a,g,0.3,0.1,0.02,{P},500"),
}
VCF = """##fileformat=VCFv4.2
##FORMAT=<ID=ES,Number=A,Type=Float,Description="">
##FORMAT=<ID=SE,Number=A,Type=Float,Description="">
##FORMAT=<ID=LP,Number=A,Type=Float,Description="">
##SAMPLE=<ID=bmi,TotalControls=300,TotalCases=200>
##contig=<ID=1,length=249250621,assembly=GRCh37>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tbmi
1\t1000\trs1\tG\tA\t.\tPASS\tAF=0.3\tES:SE:LP\t0.1:0.02:6.241616
1\t2000\trs2\tG\tA\t.\tPASS\t.\tES:SE:LP:AF:SS\t0.1:0.02:6.241616:0.3:90
"""


@pytest.fixture
def write(tmp_path):
    def _write(text, name="gwas.tsv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def _table(rows, header="SNP\tA1\tA2\tEAF\tBETA\tSE\tP"):
    return "\n".join([header, *rows]) + "\n"


GOOD = f"rs1\tA\tG\t0.3\t0.1\t0.02\t{P}"


@pytest.mark.parametrize("name", FILES)
def test_layout(write, name):
    header, row = FILES[name]
    gwas = read_gwas(write(f"{header}\n{row}\n"))
    assert gwas.format == name
    assert gwas.n_variants == 1
    row = gwas.table.row(0, named=True)
    assert (row["effect_allele"], row["other_allele"]) == ("A", "G")
    np.testing.assert_allclose([row["beta"], row["se"], row["p_value"]], [0.1, 0.02, float(P)], rtol=2e-6)
    np.testing.assert_allclose(row["neg_log10_p"], float(LP), rtol=2e-6)
    if row["eaf"] is not None:
        assert row["eaf"] == pytest.approx(0.3)
    if row["n"] is not None:
        assert row["n"] == 500
    if row["position"] is not None:
        assert (row["chromosome"], row["position"]) == ("1", 1000)
    assert read_gwas(write(f"{header}\n{FILES[name][1]}\n"), name).format == name


def test_other_tests_of_plink_are_counted(write):
    header, row = FILES["plink2"]
    report = read_gwas(write(f"{header}\n{row}\n")).report.set_index("check")["n"]
    assert report["rows of other tests (not additive), left out"] == 1


@pytest.mark.parametrize("pack", ["plain", "gzip", "bgzip", "zstd"])
def test_vcf_and_compression(write, pack):
    raw = VCF.encode()
    if pack == "gzip":
        raw = gzip.compress(raw, mtime=0)
    elif pack == "bgzip":
        raw = gzip.compress(raw[:300], mtime=0) + gzip.compress(raw[300:]) + gzip.compress(b"")
    elif pack == "zstd":
        raw = pa.compress(raw, codec="zstd", asbytes=True)
    gwas = read_gwas(write(raw, "x.vcf"))
    assert (gwas.format, gwas.build, gwas.trait) == ("gwas-vcf", "GRCh37", "bmi")
    assert gwas.table["variant"].to_list() == ["rs1", "rs2"]
    assert gwas.table["n"].to_list() == [500, 90]
    assert gwas.table["eaf"].to_list() == [0.3, 0.3]
    np.testing.assert_allclose(gwas.table["p_value"], float(P), rtol=2e-6)


def test_tiny_p_values_do_not_underflow(write):
    rows = ["rs1\tA\tG\t0.3\t1\t0.01\t0", "rs2\tA\tG\t0.3\t-1\t0.02\t2e-546"]
    gwas = read_gwas(write(_table(rows)))
    assert gwas.table["neg_log10_p"][0] == pytest.approx((5005.524209 - math.log(2)) / math.log(10), abs=1e-6)
    assert gwas.table["neg_log10_p"][1] == pytest.approx(546 - math.log10(2))
    assert gwas.table["p_value"].to_list() == [0.0, 0.0]


def test_what_is_wrong_is_counted_and_stays(write):
    rows = [
        GOOD,
        f"rs1\tc\t<DEL>\t0.3\t0.1\t0.02\t{P}",
        f"rs3\tA\tG\t1.3\t0.1\t0.02\t{P}",
        "\tA\tA\tNA\tNA\tNA\tNA",
        f"rs5\tA\tG\t0.3\toops\t-0.02\t{P}",
    ]
    gwas = read_gwas(write(_table(rows)))
    n = gwas.report.set_index("check")["n"]
    assert gwas.n_variants == 5
    assert gwas.table["effect_allele"][1] == "C"
    for check in (
        "allele is a symbol such as <DEL>", "variant listed before", "eaf outside 0 to 1, set to missing",
        "no variant id", "effect and other allele are the same", "se missing", "se not positive", "beta: not a number",
    ):  # fmt: skip
        assert n[check] == 1, check
    assert gwas.report.set_index("check").loc["variant listed before", "first_row"] == 2
    assert "variant listed before" in repr(gwas)


def test_number_codes_of_alleles(write):
    rows = [f"rs{i}\t{a}\t{b}\t0.3\t0.1\t0.02\t{P}" for i, (a, b) in enumerate(["13", "24", "42"])]
    gwas = read_gwas(write(_table(rows)))
    assert gwas.table["effect_allele"].to_list() == ["A", "C", "T"]
    gwas = read_gwas(write(_table([rows[0].replace("3\t0.3", "2\t0.3")])))
    assert gwas.table["effect_allele"].to_list() == ["1"]  # 1 and 2 alone may be allele numbers


def test_p_that_does_not_follow_warns(write):
    with pytest.warns(SummaryStatisticsWarning, match="1 of 1 rows p does not follow"):
        read_gwas(write(_table([GOOD.replace(P, "0.4")])))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_table(["rs1\tA\tG\t0.3\t0.1\t0.5"], "SNP\tA1\tA2\tEAF\tBETA\tP"), "no column for se.*cannot be invented"),
        (_table(["rs1\tA\tG\t30\t0.1\t0.02\t1"]), "divide by 100"),
        (_table([GOOD, "rs2\tA\tG\t0.3"]), r"line 3: 4 fields where the header has 7 \(the last line"),
        (_table([GOOD, "rs2\tA", GOOD]), "line 3: 2 fields"),
        (_table([]), "no rows"),
        ("", "empty"),
        (_table(["rs1\tA\tG\t2\t6702"], "SNP\tA1\tA2\tZ\tN"), "z only.*missing here: eaf"),
        (_table(["rs1\tA\tG\t0,3\t0,1\t0,02\t0,5"]), "decimal commas"),
        (_table(["1\t2\t3"], "foo\tbetta\tbar"), "nearest to beta: 'betta'|Nearest to beta: 'betta'"),
        (b"PK\x03\x04abc", "zip archive"),
        (gzip.compress(_table([GOOD] * 9).encode(), mtime=0)[:-20], "gzip data are damaged or cut short near line"),
        (gzip.compress(_table([GOOD] * 9).encode(), mtime=0)[:-8] + b"00000000", "damaged"),
    ],
)
def test_refusals(write, text, said):
    with pytest.raises(SummaryStatisticsError, match=said):
        read_gwas(write(text))


def test_wrong_delimiter_and_options(write, tmp_path):
    path = write(_table([GOOD]))
    with pytest.raises(SummaryStatisticsError, match="with comma as delimiter.*tab"):
        read_gwas(path, separator=",")
    with pytest.raises(OptionError, match="build='mm10'"):
        read_gwas(path, build="mm10")
    with pytest.raises(OptionError, match="format"):
        read_gwas(path, "vcff")
    with pytest.raises(SummaryStatisticsError, match="needs the columns"):
        read_gwas(path, "finngen")
    with pytest.raises(SummaryStatisticsError, match="no file"):
        read_gwas(tmp_path / "none.tsv")


def test_ldsc_with_frequency_becomes_standardised(write):
    gwas = read_gwas(write(_table(["rs1\tA\tG\t5\t1000\t0.3"], "SNP\tA1\tA2\tZ\tN\tEAF")))
    assert gwas.table["beta"].item() / gwas.table["se"].item() == pytest.approx(5)
    assert gwas.table["se"].item() == pytest.approx(1 / math.sqrt(0.42 * 1025))


@pytest.mark.parametrize(("position", "build"), [(45411941, "GRCh37"), (44908684, "GRCh38"), (45411000, None)])
def test_build_by_a_known_place(write, position, build):
    path = write(f"SNP\tCHR\tPOS\tA1\tA2\tBETA\tSE\nrs429358\t19\t{position}\tC\tT\t0.1\t0.02\n")
    gwas = read_gwas(path)
    assert gwas.build == build
    if build:
        assert gwas.notes[-1] == f"build {build}: the places of 1 much studied variants"
        with pytest.warns(SummaryStatisticsWarning, match="1 much studied variants stand where they are in"):
            read_gwas(path, build="NCBI36")


def test_yaml_beside_build_and_exclusion(write):
    header, row = FILES["gwas-ssf"]
    path = write(f"{header}\n{row}\n", "GCST.tsv")
    write("genome_assembly: GRCh38\ntrait_description:\n  - x\n", "GCST.tsv-meta.yaml")
    assert read_gwas(path).build == "GRCh38"
    assert read_gwas(path, build="hg19").build == "GRCh37"
    far = write(f"{header}\n{row.replace('1' + chr(9) + '1000', '17' + chr(9) + '83000000', 1)}\n", "far.tsv")
    assert read_gwas(far).build == "GRCh38"  # chromosome 17 is shorter in the others
    with pytest.warns(SummaryStatisticsWarning, match="behind the end"):
        read_gwas(far, build="GRCh37")


def test_cache(write, tmp_path):
    path = write(_table([GOOD]))
    one = read_gwas(path, cache=tmp_path / "kept")
    two = read_gwas(path, cache=tmp_path / "kept")
    assert two.table.equals(one.table)
    assert one.table.equals(read_gwas(path).table)
    assert dc.mr.harmonise(one, two).n_variants == 1
    assert "PARQUET SCAN" in two.lazy().select("beta").explain().upper()  # nothing is read before it is used
    assert two.report.equals(one.report)
    path.write_text(_table([GOOD, GOOD.replace("rs1", "rs2")]))
    assert read_gwas(path, cache=tmp_path / "kept").n_variants == 2
    assert not list((tmp_path / "kept").glob(".*"))


def test_several_studies_and_sides(write):
    rows = [f"{s}\trs1\tA\tG\t0.3\t0.1\t0.02\t{P}" for s in ("bmd", "frac")]
    path = write(_table(rows, "trait\tSNP\tEA\tOA\tEAF\tBETA\tSE\tP"))
    with pytest.raises(SummaryStatisticsError, match="several studies"):
        read_gwas(path)
    gwas = read_gwas(path, study=("trait", "frac"))
    assert (gwas.trait, gwas.n_variants) == ("frac", 1)
    assert gwas.report.set_index("check")["n"]["rows of other studies, left out"] == 1


QUOTED = 'name,SNP,EA,OA,EAF,BETA,SE,P\n"a, ""b""",rs1,A,G,0.3,0.1,0.02,5.733031e-07\n'


def test_quoted_fields(write):
    assert read_gwas(write(QUOTED)).table["variant"].to_list() == ["rs1"]
    inches = QUOTED.replace('"a, ""b"""', '5" tall')
    assert read_gwas(write(inches)).table["variant"].to_list() == ["rs1"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('"c, d",rs2,A,G,0.3', r"line 3: 5 fields where the header has 8 \(the last line; the file was"),
        ('"c, d, e, f', r"line 3: 4 fields where .*\(the last line"),
        ('"c",rs2,A\n"d",rs3,A,G,0.3,0.1,0.02,1\n', r"line 3: 3 fields where the header has 8; the line"),
        ('"c\nd",rs2,A,G,0.3,0.1,0.02,1\n"c",rs3,A\n', r"line 5: 3 fields where .*\(the last line"),
        # As many separators too many in one line as are missing in the last.
        ('"c, d",rs2,A,G,0.3,0.1', r"line 3: 6 fields where .*\(the last line"),
    ],
)
def test_quoted_lines_that_are_short(write, more, said):
    with pytest.raises(SummaryStatisticsError, match=said):
        read_gwas(write(QUOTED + more))


def test_blocks_end_at_lines(write):
    path = write(b"".join(b"%d\n" % i for i in range(400_000)))
    blocks = list(read_blocks(path, size=2**20))
    assert len(blocks) > 1
    assert b"".join(b.text for b in blocks) == path.read_bytes()
    assert [int(b.text.split(b"\n", 1)[0]) + 1 for b in blocks if b.text] == [b.line for b in blocks if b.text]


def test_table_goes_into_harmonise(write):
    gwas = read_gwas(write(_table([GOOD])))
    assert dc.mr.harmonise(gwas, gwas).n_variants == 1


@pytest.mark.parametrize("text", ["{0}{1}{2}\n", "{0}{1}\n{2}", "\n{0}{1}{2}", "{0}{1}  \n\n{2}"])
def test_blank_lines_beside_a_tiny_p(write, text):
    header, one, two = "SNP\tA1\tA2\tbeta\tse\tp\n", "rs1\tA\tG\t.428\t.01\t1e-400\n", "rs2\tA\tG\t.1\t.05\t.0455\n"
    gwas = read_gwas(write(text.format(header, one, two)))
    assert gwas.table["variant"].to_list() == ["rs1", "rs2"]
    assert gwas.table["neg_log10_p"][0] == pytest.approx(400)


def test_vcf_cut_within_its_last_value(write):
    head = "##fileformat=VCFv4.2\n##FORMAT=<ID=ES,Number=A>\n##FORMAT=<ID=SE,Number=A>\n##FORMAT=<ID=LP,Number=A>\n"
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tbmi\n"
    row = "1\t{0}\trs{0}\tA\tG\t.\tPASS\t.\tES:SE:LP\t0.1:0.02:6.5\n"
    whole = head + columns + row.format(1) + row.format(2)
    assert read_gwas(write(whole, "bmi.vcf")).n_variants == 2
    with pytest.raises(SummaryStatisticsError, match=r"line 7: the sample has 2 values where FORMAT names 3"):
        read_gwas(write(whole[:-5], "bmi.vcf"))
    with pytest.raises(SummaryStatisticsError, match="'SE:LP' of 2 rows has no ES"):
        read_gwas(write(whole.replace("ES:SE:LP\t0.1:", "SE:LP\t"), "bmi.vcf"))


def test_thousands_and_sizes_that_are_none(write):
    rows = "".join(f"rs{i}\tA\tG\t.1\t.05\t.0455\t{{}}\n" for i in range(3))
    with pytest.raises(SummaryStatisticsError, match="leave out the commas between thousands"):
        read_gwas(write("SNP\tA1\tA2\tbeta\tse\tp\tn\n" + rows.format("100,000", "100,000", "1,000")))
    gwas = read_gwas(write("SNP\tA1\tA2\tbeta\tse\tp\tn\n" + rows.format("1000", "0", "-5")))
    assert gwas.table["n"].to_list() == [1000, None, None]
    assert gwas.report.set_index("check").loc["n not positive, set to missing", "n"] == 2


def test_a_damaged_cache_is_made_anew_and_warns_again(write, tmp_path):
    path = write("SNP\tA1\tA2\tbeta\tse\tp\nrs1\tA\tG\t.5\t.01\t0.5\nrs2\tA\tG\t.1\t.05\t0.9\n")
    for _ in range(2):
        with pytest.warns(SummaryStatisticsWarning, match="p does not follow"):
            read_gwas(path, cache=tmp_path / "kept")
    (kept,) = (tmp_path / "kept").glob("*.parquet")
    kept.write_bytes(b"PAR1 no more")
    with pytest.warns(SummaryStatisticsWarning, match="p does not follow"):
        assert read_gwas(path, cache=tmp_path / "kept").n_variants == 2
    with pytest.raises(OptionError, match="is a file"):
        read_gwas(path, cache=path)
    with pytest.raises(SummaryStatisticsError, match="is a folder"):
        read_gwas(tmp_path)
