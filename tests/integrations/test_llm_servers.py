"""Servers for language models: the page's command beside a process with the real Prometheus client's counters."""

import signal
import stat
import subprocess
import time
from pathlib import Path

import requests

from tests.cases.conftest import metrics, status
from tests.documents import blocks
from tests.integrations.services import counted, free_port

#: Counters as in vllm/v1/metrics/loggers.py; a request to any path is one request to the model.
VLLM = """\
#!{python}
import os, sys, threading, time
from prometheus_client import Counter, start_http_server

labels = ["model_name", "engine"]
tokens = Counter("vllm:generation_tokens", "Number of generation tokens processed.", labels)
prompt = Counter("vllm:prompt_tokens", "Number of prefill tokens processed.", labels)
done = Counter("vllm:request_success", "Count of successfully processed requests.", [*labels, "finished_reason"])
mine = (sys.argv[2], "0")
start_http_server({port}, "127.0.0.1")
while True:
    if os.path.exists("asked"):
        os.unlink("asked")
        tokens.labels(*mine).inc(120)
        prompt.labels(*mine).inc(30)
        done.labels(*mine, "stop").inc()
    time.sleep(0.05)
"""


def test_the_page_about_llm_servers_is_true(environment, interpreter, processes, portal, arrived, tmp_path):
    port = free_port()
    server = tmp_path / "bin" / "vllm"
    server.parent.mkdir()
    server.write_text(VLLM.format(python=interpreter, port=port))
    server.chmod(server.stat().st_mode | stat.S_IXUSR)
    (command,) = blocks("docs/integrations/llm-servers.md", "sh")
    words = command.replace(":8000", f":{port}")
    path = f"{server.parent}:{Path(interpreter).parent}:{environment['PATH']}"
    shell = subprocess.Popen(["bash", "-c", words], env=environment | {"PATH": path}, cwd=tmp_path)
    portal.wait_for(lambda p: p.runs(), 30)
    time.sleep(1)
    for _ in range(3):
        (tmp_path / "asked").touch()
        while (tmp_path / "asked").exists():
            time.sleep(0.05)
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    (watching,) = [each for each in processes() if "watch" in each.cmdline()]
    watching.send_signal(signal.SIGINT)
    assert shell.wait(30) == 0
    (stored,) = arrived()
    assert (stored["headers"][0]["model"], status(stored)) == ("llama-3.1-8b", "completed")
    assert {name: sum(values) for name, values in metrics(stored).items()} == {"tokens": 360, "prompt_tokens": 90}
    assert counted([stored]) == {"requests": (3, 3)}
    assert "vllm:generation_tokens_total{" in text
