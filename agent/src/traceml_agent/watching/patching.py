"""Makes an object count its calls: it stays the same object, but its class is replaced by a twin of the same name.

`watch(model)` returns the same object. The twin is a subclass whose counted methods and own call go through `counting`.
The alternatives were tried on scikit-learn and PyTorch:

* a stand-in around the object is lost by methods that return self, and fails wherever code checks the type or
  `__dict__`: `check_is_fitted`, `export_text`, anything written in C;
* counted functions in the object's `__dict__` are pickled with it, are visible to `vars`, and can't count `model(x)`,
  which Python looks up on the class;
* counted functions on the class itself slow down all its other objects, such as every `nn.Linear` of the process,
  change a library for its other users, and are pickled by value with a notebook's classes.

PyTorch does the same for its parametrizations and FSDP. `model.__class__`, isinstance, copies and pickles show the
original class; only `type(model)` does not, since that is impossible. An object whose class can't be replaced, such as
a function or an object of a C type, gets a stand-in after all: see `stand_ins`.
"""

from __future__ import annotations

import copyreg
import functools
import inspect
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from traceml_agent.messages import let_handlers_through
from traceml_agent.watching import counting
from traceml_agent.watching.stand_ins import is_function, stand_in

#: The twins, and what each counts.
_twins: weakref.WeakKeyDictionary[type, Any] = weakref.WeakKeyDictionary()
#: The real `__class__`, which twins hide.
_class_of = object.__dict__["__class__"]
#: Methods that train the model: what they call on it is not use.
TRAINING = ("fit", "partial_fit", "fit_transform", "fit_predict")


def watched_of(model):
    """The counts of a patched object; None if it is not patched."""
    return _twins.get(type(model))


def patch(model, watched, methods: tuple[str, ...]) -> None:
    """Count `methods` of this object and its call in `watched`, and no longer where it was counted before.

    Raises TypeError if the object's class can't be replaced.
    """
    cls = type(model).__bases__[0] if type(model) in _twins else type(model)
    _become(model, cls, watched, methods)


def _become(model, cls: type, watched, methods: tuple[str, ...]) -> None:
    shown = property(lambda self: cls, lambda self, new: _become(self, new, watched, methods))
    twin = _subclass(cls, {"__class__": shown})
    _disguise(twin, cls)
    inside: ContextVar = ContextVar("inside", default=False)
    for name, attribute in _attributes(model, twin, cls, watched, methods, inside):
        setattr(twin, name, attribute)
    _class_of.__set__(model, twin)
    _twins[twin] = watched


def _subclass(cls: type, body: dict[str, Any]) -> type:
    """An empty subclass that looks like `cls` and is announced to nobody: a registry would take it for a new model.

    `type.__new__` skips the metaclass's own `__new__`, and starting with another base skips `__init_subclass__`. That
    base must have the layout of `cls`; with `__slots__` it does not, and `cls` is subclassed directly.
    """
    body |= {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    root = cls
    while root.__base__ and _layout(root.__base__) == _layout(root):
        root = root.__base__
    try:
        base = type.__new__(type(root), root.__name__, (root.__base__ or object,), {})
        twin = type.__new__(type(cls), cls.__name__, (base,), dict(body))
        twin.__bases__ = (cls,)
    except TypeError:
        twin = type.__new__(type(cls), cls.__name__, (cls,), body | {"__slots__": ()})
    return twin


def _layout(cls: type) -> tuple[int, int, int]:
    return cls.__basicsize__, cls.__dictoffset__, cls.__weakrefoffset__


def _disguise(twin: Any, cls: type) -> None:
    """Make pickles and copies of the object objects of `cls`."""

    def reduce(self, protocol):
        reducer = copyreg.dispatch_table.get(cls)  # which is by type, so by the twin
        return _without(twin, cls, reducer(self) if reducer else super(twin, self).__reduce_ex__(protocol))

    twin.__reduce_ex__ = functools.update_wrapper(reduce, cls.__reduce_ex__)
    for name in ("__copy__", "__deepcopy__"):
        if hasattr(cls, name):
            setattr(twin, name, _copying(twin, cls, name))


def _without(twin: type, cls: type, reduced):
    """What a pickle is made of, with the class instead of the twin."""
    if isinstance(reduced, tuple):
        return tuple(_without(twin, cls, each) if type(each) in (tuple, type(twin)) else each for each in reduced)
    return cls if reduced is twin else reduced


def _copying(twin: type, cls: type, name: str) -> Callable:
    def copy(self, *args):
        made = getattr(super(twin, self), name)(*args)
        if type(made) is twin and made is not self:
            _class_of.__set__(made, cls)
        return made

    return copy


def _attributes(model, twin, cls, watched, methods, inside) -> Iterator[tuple[str, Any]]:
    """The counted methods of this object, by name."""
    is_module = "torch" in sys.modules and isinstance(model, sys.modules["torch"].nn.Module)
    for name in ("__call__", *methods, *TRAINING):
        if is_module and name in ("forward", *TRAINING):
            continue  # called by the module's call, and taken apart by compilers, tracers and exporters
        raw = _on_class(cls, name)
        if isinstance(raw, types.FunctionType):
            yield name, _method(name, twin, cls, watched, inside, is_module)
        elif name not in TRAINING and _is_looked_up(model, name, raw):
            kind = _Kept if hasattr(type(raw), "__set__") or name in getattr(model, "__dict__", ()) else _LookedUp
            yield name, kind(name, cls, raw, watched, inside)


def _on_class(cls: type, name: str):
    return next((each.__dict__[name] for each in cls.__mro__ if name in each.__dict__), None)


def _is_looked_up(model, name: str, raw) -> bool:
    """Whether a name that is not a plain function of the class may still be one: by a descriptor, or in this object."""
    if name == "__call__" or raw is not None:
        return raw is not None
    try:
        return is_function(getattr(model, name, None))
    except Exception as error:  # noqa: BLE001 (whatever `__getattr__` does)
        let_handlers_through(error)
        return False


def _method(name: str, twin: type, cls: type, watched, inside: ContextVar, is_module: bool) -> Callable:
    """A plain function of the class, counted. It calls what the class has at that time, since tests and tracers patch
    it."""

    def otherwise(self, *args, **kwargs):
        return getattr(super(twin, self), name)(*args, **kwargs)

    bare = getattr(cls, name)
    if name in TRAINING:
        return counting.like(counting.entered(cls, name, otherwise, inside), bare)
    takes = cls.forward if is_module and name == "__call__" else bare  # type: ignore[attr-defined]
    parameters = counting.parameters_of(takes)[1:]
    call = counting.counted(cls, name, otherwise, watched.counts(name), inside, parameters)
    return counting.like(_module_method(call, otherwise, bare, watched.counts(name)) if is_module else call, bare)


def _module_method(counted: types.FunctionType, otherwise: Callable, bare: types.FunctionType, counts) -> Callable:
    """A PyTorch module's call or method that its compilers and its tracer don't see.

    Inside compiled or traced code it is the bare one: a clock would break the graph, and a batch's size would become
    part of it. From outside, the compiler skips it and compiles the `forward` behind it, as for a bare module.
    TorchScript reads the source of the bare one, and looks up its names where this function says.
    """
    torch = sys.modules["torch"]
    is_compiling, is_tracing = torch.compiler.is_compiling, torch.jit.is_tracing

    def method(*args, **kwargs):  # it refers to no name of this module
        if is_compiling() or is_tracing():
            return otherwise(*args, **kwargs)
        return counted(*args, **kwargs)

    try:
        from torch._C._dynamo import eval_frame

        skip = eval_frame._FrameExecStrategy(eval_frame._FrameAction.SKIP, eval_frame._FrameAction.DEFAULT)
        for each in (counted, method):
            eval_frame.set_code_exec_strategy(each.__code__, skip)
        all_of_it = eval_frame._FrameExecStrategy(eval_frame._FrameAction.SKIP, eval_frame._FrameAction.SKIP)
        eval_frame.set_code_exec_strategy(type(counts).add.__code__, all_of_it)
    except (ImportError, AttributeError):  # another version of PyTorch: calls of compiled modules are not counted
        pass
    return types.FunctionType(method.__code__, bare.__globals__, bare.__name__, None, method.__closure__)


class _LookedUp:
    """A method that is looked up each time: of a descriptor, such as scikit-learn's `available_if`, or of a proxy."""

    def __init__(self, name: str, cls: type, raw, watched, inside: ContextVar):
        self._name, self._cls, self._raw, self._watched = name, cls, raw, watched
        through = types.SimpleNamespace(call=lambda model, *args, **kwargs: self._bare(model)(*args, **kwargs))
        bare = getattr(cls, name, None)
        parameters = counting.parameters_of(bare)[1:] if inspect.isfunction(bare) else ()
        call = counting.counted(through, "call", through.call, watched.counts(name), inside, parameters)
        self._function = counting.like(call, bare) if inspect.isfunction(bare) else call
        self._inside = inside
        self._last: tuple = (None, None)

    def __get__(self, model, owner=None):
        if model is None:
            return getattr(self._cls, self._name)
        bare = self._bare(model)
        if isinstance(bare, types.MethodType) and bare.__self__ is model:
            return types.MethodType(self._function, model)
        if not is_function(bare):
            return bare
        if self._last[0] != bare:
            self._last = bare, stand_in(bare, self._watched, (), self._name, self._inside)
        return self._last[1]

    def _bare(self, model):
        own = getattr(model, "__dict__", {})
        if self._name in own:
            return own[self._name]
        raw = _on_class(self._cls, self._name)
        if raw is not None:
            return raw.__get__(model, self._cls) if hasattr(type(raw), "__get__") else raw
        return self._cls.__getattr__(model, self._name)  # type: ignore[attr-defined]  # it was found by that


class _Kept(_LookedUp):
    """A method that precedes the object's own `__dict__`, and so must keep what is set."""

    def __set__(self, model, value):
        if hasattr(type(self._raw), "__set__"):
            self._raw.__set__(model, value)
        else:
            model.__dict__[self._name] = value

    def __delete__(self, model):
        if hasattr(type(self._raw), "__delete__"):
            self._raw.__delete__(model)
        else:
            del model.__dict__[self._name]
