from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dxa_causal import mr
from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.mr.columns import read_side

ROW = {
    "id": "ieu-a-2", "trait": "Body mass index", "rsid": "rs1558902", "chr": "16", "position": 53803574, "ea": "A",
    "nea": "T", "eaf": 0.42, "beta": 0.0818, "se": 0.0031, "p": 7.5e-153, "n": 320073,
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, question, self.headers["Authorization"]))
        status, answer = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    served = HTTPServer(("127.0.0.1", 0), Handler)
    served.asked, served.answer = [], (200, [ROW])
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    served.address = f"http://127.0.0.1:{served.server_port}"
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def test_instruments_and_associations(server):
    table = mr.opengwas_instruments("ieu-a-2", server=server.address, token="secret")
    frame, _ = read_side(table, "exposure")
    assert frame.select("variant", "effect_allele", "other_allele").row(0) == ("rs1558902", "A", "T")
    assert frame["se"][0] == 0.0031
    mr.opengwas_associations(["rs1558902"], "ieu-a-7", server=server.address, token="secret")
    paths, questions, tokens = zip(*server.asked, strict=True)
    assert paths == ("/tophits", "/associations")
    assert questions[0]["id"] == ["ieu-a-2"]
    assert questions[1]["variant"] == ["rs1558902"]
    assert set(tokens) == {"Bearer secret"}


def test_the_reason_is_passed_on(server, monkeypatch):
    monkeypatch.delenv("OPENGWAS_JWT", raising=False)
    with pytest.raises(SummaryStatisticsError, match="OPENGWAS_JWT"):
        mr.opengwas_instruments("ieu-a-2")
    for answer, words in (
        ((401, {"message": "token has expired"}), "401.*token has expired"),
        ((200, []), "no such associations in 'ieu-a-2'"),
        ((200, {"message": "odd"}), "did not send a table"),
    ):
        server.answer = answer
        with pytest.raises(SummaryStatisticsError, match=words):
            mr.opengwas_instruments("ieu-a-2", server=server.address, token="secret")
    with pytest.raises(SummaryStatisticsError, match="cannot be reached"):
        mr.opengwas_instruments("ieu-a-2", server="http://127.0.0.1:9", token="secret", timeout=2)
