"""A watched PyTorch module, wherever the bare one goes."""

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit")
X = torch.linspace(-1, 1, 32).reshape(8, 4)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.encode = nn.Linear(4, 8), nn.Linear(8, 2)  # a layer, though it is called as a method is

    def forward(self, x):
        return self.encode(torch.relu(self.hidden(x)))


class Encoder(nn.Module):
    """Whose call is made of a method that counts by itself."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 8)

    def encode(self, x):
        return functional.relu(self.inner(x))

    def forward(self, x):
        return self.encode(x)


class Parent(nn.Module):
    def __init__(self, child):
        super().__init__()
        self.child = child

    def forward(self, x):
        return self.child(x) + 1


def sequential():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


MODULES = {"own": Net, "encoder": Encoder, "sequential": sequential, "linear": lambda: nn.Linear(4, 2)}


@pytest.fixture(params=MODULES)
def bare(request):
    torch.manual_seed(0)
    torch.compiler.reset()
    return MODULES[request.param]().eval()


@pytest.fixture
def model(bare, watch):
    return watch(copy.deepcopy(bare))


def test_it_moves_and_stays_watched(model, counts):
    assert model.to("cpu").float().train().eval() is model
    model(X)
    model(**{"input" if type(model).__module__.startswith("torch.") else "x": X})
    assert counts() == {"__call__": (2, 16)}


def test_it_trains_as_the_bare_one(model, bare):
    for each in (model, bare):
        optimizer = torch.optim.SGD(each.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            each(X).square().mean().backward()
            optimizer.step()
    assert torch.equal(model(X), bare(X))


@pytest.mark.parametrize("protocol", [2, 4])
def test_it_is_saved_as_the_bare_one(model, bare, protocol):
    saved = io.BytesIO()
    torch.save(model, saved, pickle_protocol=protocol)
    assert b"traceml" not in saved.getvalue()
    loaded = torch.load(io.BytesIO(saved.getvalue()), weights_only=False)
    assert type(loaded) is type(pickle.loads(pickle.dumps(model))) is type(copy.deepcopy(model)) is type(bare)
    bare.load_state_dict(model.state_dict())
    assert torch.equal(loaded(X), bare(X))


@pytest.mark.parametrize(
    "use",
    [
        repr,
        lambda model: [name for name, _ in model.named_modules()],
        lambda model: torch.jit.script(model).code,
        lambda model: str(torch.fx.symbolic_trace(model).graph),
        lambda model: str(torch.fx.symbolic_trace(Parent(model)).graph),
        lambda model: str(torch.export.export(model, (X,)).graph),
        lambda model: torch.jit.trace(model, X).code,
        lambda model: torch.vmap(model)(X).tolist(),
        lambda model: torch.func.functional_call(model, dict(model.named_parameters()), (X,)).tolist(),
        lambda model: nn.DataParallel(model)(X).tolist(),
        lambda model: torch.optim.swa_utils.AveragedModel(model)(X).tolist(),
    ],
)
def test_what_takes_the_bare_module_takes_the_watched_one(model, bare, use):
    theirs = use(bare)
    torch.compiler.reset()
    assert use(model) == theirs


def _graphs(model) -> list[str]:
    """What the compiler makes of it, with no break allowed."""
    made = []

    def backend(graph, inputs):
        made.append(graph.code)
        return graph.forward

    torch.compiler.reset()
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    compiled(X), compiled(X)
    return made


def test_it_compiles_as_the_bare_one(model, bare):
    assert _graphs(model) == _graphs(bare)
    assert _graphs(Parent(model)) == _graphs(Parent(bare))


def test_the_calls_of_a_compiled_module_are_counted(watch, counts):
    compiled = torch.compile(watch(Net()), backend="eager")
    compiled(X), compiled(X)
    assert counts() == {"__call__": (2, 16)}


def test_a_module_that_compiles_itself_is_counted(model, counts):
    model.compile(backend="eager")
    model(X), model(X)
    assert counts() == {"__call__": (2, 16)}


def test_hooks_see_the_module_itself(model):
    seen = []
    model.register_forward_hook(lambda module, given, output: seen.append(module))
    model(X)
    assert seen[0] is model


def test_a_watched_child_counts(model, counts):
    Parent(model)(X)
    assert counts() == {"__call__": (1, 8)}


def test_a_modules_own_methods_count(watch, counts):
    model = watch(Encoder())
    model.encode(X)
    model(X)
    assert counts() == {"encode": (1, 8), "__call__": (1, 8)}


def test_modules_that_change_their_class_stay_watched(watch, counts):
    lazy = watch(nn.LazyLinear(3))
    lazy(X)
    assert lazy.__class__ is nn.Linear
    normed = nn.utils.parametrizations.weight_norm(watch(nn.Linear(4, 2)))
    normed(X)
    lazy(X)
    assert len(counts()) == 1
    assert normed.__class__.__name__ == "ParametrizedLinear"


#: In a process of its own, left without its destructors: that of a process group waits for a thread which may wait for
#: the interpreter.
DISTRIBUTED = """
import os, sys, torch
from torch import nn
from traceml_agent import start, watch
run = start("x")
model = watch(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), run=run)
torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=0, world_size=1)
distributed = nn.parallel.DistributedDataParallel(model)
distributed(torch.ones(8, 4)).sum().backward()
(calls,) = run.board.calls()
has_gradients = all(each.grad is not None for each in model.parameters())
print(distributed.module is model, has_gradients, calls["items"], flush=True)
os._exit(0)
"""


def test_it_trains_distributed(tmp_path):
    words = [sys.executable, "-c", DISTRIBUTED, str(tmp_path / "rendezvous")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.stdout == "True True 8\n", done.stderr
