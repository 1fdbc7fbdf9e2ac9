"""Servers for language models, as far as their `/metrics` goes: what vLLM, SGLang, TGI and llama.cpp answer.

The texts follow vllm/v1/metrics/loggers.py, sglang/srt/metrics/collector.py, router/src/server.rs of
text-generation-inference (metrics-exporter-prometheus) and tools/server of llama.cpp.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VLLM = """\
# HELP python_info Python platform information
# TYPE python_info gauge
python_info{{implementation="CPython",major="3",minor="12",patchlevel="11",version="3.12.11"}} 1.0
# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
process_start_time_seconds {began}
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"}} 3.0
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"}} {prompt}
# HELP vllm:prompt_tokens_created Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_created gauge
vllm:prompt_tokens_created{{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"}} 1.7639312343e+09
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"}} {tokens}
vllm:generation_tokens_total{{engine="1",model_name="meta-llama/Llama-3.1-8B-Instruct"}} {tokens}
# HELP vllm:request_success_total Count of successfully processed requests.
# TYPE vllm:request_success_total counter
vllm:request_success_total{{engine="0",finished_reason="stop",model_name="meta-llama/Llama-3.1-8B-Instruct"}} {requests}
vllm:request_success_total{{engine="0",finished_reason="length",model_name="meta-llama/Llama-3.1-8B-Instruct"}} 2.0
vllm:request_success_total{{engine="0",finished_reason="abort",model_name="meta-llama/Llama-3.1-8B-Instruct"}} 0.0
# HELP vllm:request_generation_tokens Number of generation tokens processed.
# TYPE vllm:request_generation_tokens histogram
vllm:request_generation_tokens_sum{{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"}} {tokens}
"""
SGLANG = """\
# HELP sglang:prompt_tokens_total Number of prefill tokens processed.
# TYPE sglang:prompt_tokens_total counter
sglang:prompt_tokens_total{{model_name="meta-llama/Llama-3.1-8B-Instruct"}} {prompt}
# HELP sglang:generation_tokens_total Number of generation tokens processed.
# TYPE sglang:generation_tokens_total counter
sglang:generation_tokens_total{{model_name="meta-llama/Llama-3.1-8B-Instruct"}} {tokens}
# HELP sglang:num_requests_total Number of requests processed.
# TYPE sglang:num_requests_total counter
sglang:num_requests_total{{model_name="meta-llama/Llama-3.1-8B-Instruct"}} {requests}
# HELP sglang:token_usage The token usage
# TYPE sglang:token_usage gauge
sglang:token_usage{{model_name="meta-llama/Llama-3.1-8B-Instruct"}} 0.28
"""
TGI = """\
# TYPE tgi_request_count counter
tgi_request_count 900

# TYPE tgi_request_success counter
tgi_request_success {requests}

# TYPE tgi_request_generated_tokens histogram
tgi_request_generated_tokens_bucket{{le="512"}} 40
tgi_request_generated_tokens_bucket{{le="+Inf"}} 44
tgi_request_generated_tokens_sum {tokens}
tgi_request_generated_tokens_count 44

# TYPE tgi_request_input_length histogram
tgi_request_input_length_sum {prompt}
tgi_request_input_length_count 44
"""
LLAMACPP = """\
# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total {prompt}
# HELP llamacpp:tokens_predicted_total Number of generation tokens processed.
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total {tokens}
# HELP llamacpp:requests_processing Number of requests processing.
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 1
"""


class FakeEngine:
    """A server with counters, which a test moves; `answer` replaces its whole answer."""

    def __init__(self, text: str, tokens=0, prompt=0, requests=0, began=1.0):
        self.text, self.tokens, self.prompt, self.requests, self.began = text, tokens, prompt, requests, began
        self.answer: bytes | None = None
        self.location, self.port = "", 0
        self.headers: list[dict] = []
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"

    def start(self) -> "FakeEngine":
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                engine.headers.append(dict(self.headers))
                self.send_response(302 if engine.location else 200)
                if engine.location:
                    self.send_header("Location", engine.location)
                self.end_headers()
                self.wfile.write(engine.answer if engine.answer is not None else engine.written())

            def log_message(self, *about):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def written(self) -> bytes:
        counts = {"tokens": self.tokens, "prompt": self.prompt, "requests": self.requests, "began": self.began}
        return self.text.format(**counts).encode()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
