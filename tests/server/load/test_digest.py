"""The digest of a state: equal for equal ones, different for whatever a user could see, and nothing of the user's runs for it."""

from __future__ import annotations

import copy
import gc
import os
import subprocess
import sys
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from types import FrameType, ModuleType
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devserver.server.load import anatomy, digest, genuine, incidental, ownership
from devserver.server.load.digest import Digester

FILES = {module.__file__ for module in (anatomy, digest, genuine, incidental, ownership)}
TOOLS = {anatomy.Kind.__new__.__code__, anatomy._Declared.__new__.__code__, cast.__code__}


def load(source: str, name: str = "app.views") -> ModuleType:
    module = sys.modules[name] = ModuleType(name)
    try:
        exec(compile(dedent(source), f"/{name}.py", "exec", dont_inherit=True), module.__dict__)
    finally:
        del sys.modules[name]
    return module


def holding(value: object) -> ModuleType:
    module = ModuleType("app.views")
    vars(module)["value"] = value
    return module


def look(
    *modules: ModuleType,
    registries: Iterable[tuple[str, object]] = (),
    most_per_name: int = 50_000,
    most: int = 2_000_000,
) -> Digester:
    """A digester that has looked, while nobody but us ran."""
    digester = Digester(
        {module.__name__: module for module in modules},
        registries,
        max_objects_per_name=most_per_name,
        max_objects=most,
    )
    strangers: set[str] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename not in FILES and frame.f_code not in TOOLS:
            strangers.add(f"{frame.f_code.co_filename}: {frame.f_code.co_qualname}")

    before = sys.getprofile()
    gc.disable()  # what it finds is finalized by code of others
    sys.setprofile(note)
    try:
        digester.digest()
    finally:
        sys.setprofile(before)
        gc.enable()
    assert not strangers
    return digester


def digest_of(source: str) -> dict[str, str]:
    module = load(source)
    digester = look(module)
    assert digester.is_complete
    assert not digester.partial
    return digester.digest()


def digest_of_value(value: object, most_per_name: int = 50_000) -> str:
    return look(holding(value), most_per_name=most_per_name).digest()["module app.views"]


# --- by tables: what differs, and what does not ---

DIFFERENT: dict[str, tuple[str, str]] = {
    "a constant": ("x = 1", "x = 2"),
    "a module that was imported anew since": (
        "import colorsys as x",
        "import sys, colorsys as x; del sys.modules['colorsys']; import colorsys",
    ),
    "the type of a constant": ("x = 1", "x = True"),
    "a float of the same value": ("x = 1", "x = 1.0"),
    "the sign of zero": ("x = 0.0", "x = -0.0"),
    "text and bytes": ("x = 'a'", "x = b'a'"),
    "bytes and a bytearray": ("x = b'a'", "x = bytearray(b'a')"),
    "what a bytearray holds": ("x = bytearray(b'a')", "x = bytearray(b'b')"),
    "a long text": ("x = 'a' * 10_000", "x = 'a' * 9_999 + 'b'"),
    "long bytes": ("x = b'a' * 10_000", "x = b'a' * 9_999 + b'b'"),
    "the end of a huge text": ("x = 'a' * 17_000_000", "x = 'a' * 16_999_999 + 'b'"),
    "a large number": ("x = 1 << 100_000", "x = 1 << 100_001"),
    "a range": ("x = range(3)", "x = range(4)"),
    "a slice": ("x = slice(3)", "x = slice(4)"),
    "Ellipsis": ("x = ...", "x = NotImplemented"),
    "a name": ("x = 1", "y = 1"),
    "a missing name": ("x = 1", "x = 1; y = 1"),
    "the order in a list": ("x = [1, 2]", "x = [2, 1]"),
    "the order in a dict": ("x = {'a': 1, 'b': 2}", "x = {'b': 2, 'a': 1}"),
    "a list and a tuple": ("x = [1, 2]", "x = (1, 2)"),
    "where a list ends": ("x = [[1], 2]", "x = [[1, 2]]"),
    "the depth of nesting": ("x = [[]]", "x = [[[]]]"),
    "what is in a set": ("x = {1, 2}", "x = {1, 3}"),
    "what is in a large frozenset": ("x = frozenset(range(100))", "x = frozenset(range(1, 101))"),
    "a set and a frozenset": ("x = {1}", "x = frozenset({1})"),
    "the default of a defaultdict": (
        "from collections import defaultdict; x = defaultdict(list)",
        "from collections import defaultdict; x = defaultdict(set)",
    ),
    "the order of an OrderedDict": (
        "from collections import OrderedDict; x = OrderedDict(a=1, b=2)",
        "from collections import OrderedDict; x = OrderedDict(a=1, b=2); x.move_to_end('a')",
    ),
    "the length of a deque": (
        "from collections import deque; x = deque([1])",
        "from collections import deque; x = deque([1], 5)",
    ),
    "what a proxy shows": (
        "import types; x = types.MappingProxyType({'a': 1})",
        "import types; x = types.MappingProxyType({'a': 2})",
    ),
    "a list that is one with another": ("x = []; y = x", "x = []; y = []"),
    "the subclass of a str": ("class S(str): pass\nx = S('a')", "class S(str): pass\nx = S('b')"),
    "the attributes of a list": (
        "class L(list): pass\nx = L([1]); x.mark = 1",
        "class L(list): pass\nx = L([1]); x.mark = 2",
    ),
    "attributes and elements": (
        "class L(list): pass\nx = L(['a', 1])",
        "class L(list): pass\nx = L(); x.a = 1",
    ),
    "the value of a number's subclass": ("class N(int): pass\nx = N(1)", "class N(int): pass\nx = N(2)"),
    "a member of a set's subclass": ("class S(set): pass\nx = S([1])", "class S(set): pass\nx = S([2])"),
    "a value in a dict's subclass": ("class D(dict): pass\nx = D(a=1)", "class D(dict): pass\nx = D(a=2)"),
    "a moment": (
        "import datetime as d; x = d.datetime(2020, 1, 1, tzinfo=d.timezone.utc)",
        "import datetime as d; x = d.datetime(2020, 1, 1, tzinfo=d.timezone(d.timedelta(hours=1)))",
    ),
    "the fold of a moment": (
        "import datetime as d; x = d.datetime(2020, 1, 1)",
        "import datetime as d; x = d.datetime(2020, 1, 1, fold=1)",
    ),
    "a day": ("import datetime as d; x = d.date(2020, 1, 1)", "import datetime as d; x = d.date(2020, 1, 2)"),
    "a duration": ("import datetime as d; x = d.timedelta(1)", "import datetime as d; x = d.timedelta(2)"),
    "a decimal number": (
        "from decimal import Decimal as D; x = D('1')",
        "from decimal import Decimal as D; x = D('1.0')",
    ),
    "a fraction": (
        "from fractions import Fraction as F; x = F(1, 2)",
        "from fractions import Fraction as F; x = F(1, 3)",
    ),
    "a UUID": ("import uuid; x = uuid.UUID(int=1)", "import uuid; x = uuid.UUID(int=2)"),
    "a path": ("from pathlib import Path; x = Path('/a')", "from pathlib import Path; x = Path('/b')"),
    "a time zone": (
        "from zoneinfo import ZoneInfo; x = ZoneInfo('UTC')",
        "from zoneinfo import ZoneInfo; x = ZoneInfo('Europe/Berlin')",
    ),
    "a pattern": ("import re; x = re.compile('a')", "import re; x = re.compile('b')"),
    "the flags of a pattern": ("import re; x = re.compile('a')", "import re; x = re.compile('a', re.I)"),
    "what a type is of": ("x = list[int]", "x = list[str]"),
    "a union": ("x = int | str", "x = int | None"),
    "a typing union": ("from typing import Optional as O; x = O[int]", "from typing import Optional as O; x = O[str]"),
    "a namespace": ("import types; x = types.SimpleNamespace(a=1)", "import types; x = types.SimpleNamespace(a=2)"),
    "an error's arguments": ("x = ValueError(1)", "x = ValueError(2)"),
    "a module": ("import os as x", "import sys as x"),
    "a builtin": ("x = len", "x = abs"),
    "whose method a builtin is": ("x = [1].append", "x = [2].append"),
    "a descriptor": ("x = str.join", "x = str.strip"),
    "an item getter": (
        "import operator; x = operator.itemgetter('a')",
        "import operator; x = operator.itemgetter('b')",
    ),
    "a function's body": ("def x(): return 1", "def x(): return 2"),
    "a function's operator": ("def x(a): return a + 1", "def x(a): return a - 1"),
    "a function's default": ("def x(a=1): pass", "def x(a=2): pass"),
    "a default with an annotation": ("def x(a: int = 1): pass", "def x(a: int = 2): pass"),
    "an annotation": ("def x(a: int): pass", "def x(a: str): pass"),
    "a keyword's default": ("def x(*, a=1): pass", "def x(*, a=2): pass"),
    "a parameter": ("def x(a): pass", "def x(b): pass"),
    "the kind of a parameter": ("def x(a): pass", "def x(*, a): pass"),
    "a function's name": ("def x(): pass", "def y(): pass\nx = y; del y"),
    "a function's attribute": ("def x(): pass\nx.a = 1", "def x(): pass\nx.a = 2"),
    "a name that a function asks for": ("def x(): return a", "def x(): return b"),
    "a nested lambda": ("x = [lambda: lambda: 1]", "x = [lambda: lambda: 2]"),
    "a nested function in a nested one": (
        "def x():\n  def y():\n    def z(): return 1",
        "def x():\n  def y():\n    def z(): return 2",
    ),
    "what is caught": (
        "def x():\n  try: a()\n  except ValueError: pass",
        "def x():\n  try: a()\n  except TypeError: pass",
    ),
    "a set among constants": ("def x(a): return a in {1, 2}", "def x(a): return a in {1, 3}"),
    "a keyword and a variable": ("def x(*, a): pass", "def x():\n  if 0: a = 1"),
    "the names in a closure": (
        "def m(a): return lambda: a\nx = m(1); del m",
        "def m(b): return lambda: b\nx = m(1); del m",
    ),
    "what a function protects": (
        "def x():\n  try: a()\n  except E: pass",
        "def x():\n  try: a()\n  except E: pass\nx.__code__ = x.__code__.replace(co_exceptiontable=b'')",
    ),
    "the flags of a function": (
        "def x(): pass",
        "def x(): pass\nx.__code__ = x.__code__.replace(co_flags=x.__code__.co_flags ^ 0x4000)",
    ),
    "the name in tracebacks": (
        "def x(): pass",
        "def x(): pass\nx.__code__ = x.__code__.replace(co_qualname='y')",
    ),
    "coroutines": ("def x(): pass", "async def x(): pass"),
    "a closure": ("def m(n): return lambda: n\nx = m(1)", "def m(n): return lambda: n\nx = m(2)"),
    "an empty cell": (
        "def m():\n  f = lambda: n\n  n = 1\n  return f\nx = m()",
        "def m():\n  f = lambda: n\n  n = 1\n  del n\n  return f\nx = m()",
    ),
    "a base class": (
        "class A: pass\nclass B: pass\nclass X(A): pass",
        "class A: pass\nclass B: pass\nclass X(B): pass",
    ),
    "a metaclass": ("class M(type): pass\nclass X: pass", "class M(type): pass\nclass X(metaclass=M): pass"),
    "a class attribute": ("class X: a = 1", "class X: a = 2"),
    "the order of class attributes": ("class X: a = 1; b = 2", "class X: b = 2; a = 1"),
    "a method's body": ("class X:\n  def f(self): return 1", "class X:\n  def f(self): return 2"),
    "a property's body": ("class X:\n  f = property(lambda s: 1)", "class X:\n  f = property(lambda s: 2)"),
    "a static method": ("class X:\n  f = staticmethod(len)", "class X:\n  f = staticmethod(abs)"),
    "static and class methods": ("class X:\n  f = staticmethod(len)", "class X:\n  f = classmethod(len)"),
    "a nested class": ("class X:\n  class Meta: a = 1", "class X:\n  class Meta: a = 2"),
    "a class made in a function": (
        "def m(n):\n  class C: a = n\n  return C\nx = m(1)",
        "def m(n):\n  class C: a = n\n  return C\nx = m(2)",
    ),
    "a class that a library makes": (
        "from collections import namedtuple; X = namedtuple('X', 'a b')",
        "from collections import namedtuple; X = namedtuple('X', 'a c')",
    ),
    "a class that bears a library's name": (
        "X = type('X', (), {'__module__': 'os', 'a': 1})",
        "X = type('X', (), {'__module__': 'os', 'a': 2})",
    ),
    "an instance's attribute": ("class X: pass\nx = X(); x.a = 1", "class X: pass\nx = X(); x.a = 2"),
    "the order of attributes": (
        "class X: pass\nx = X(); x.a = 1; x.b = 1",
        "class X: pass\nx = X(); x.b = 1; x.a = 1",
    ),
    "an instance's slot": (
        "class X: __slots__ = 'a',\nx = X(); x.a = 1",
        "class X: __slots__ = 'a',\nx = X(); x.a = 2",
    ),
    "an empty slot": ("class X: __slots__ = 'a',\nx = X(); x.a = None", "class X: __slots__ = 'a',\nx = X()"),
    "an instance's class": (
        "class X: pass\nclass Y: pass\nx = X()",
        "class X: pass\nclass Y: pass\nx = Y()",
    ),
    "a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass X:\n  a: int = 1\nx = X()",
        "from dataclasses import dataclass\n@dataclass\nclass X:\n  a: int = 1\nx = X(2)",
    ),
    "a member of an enumeration": (
        "import enum\nclass X(enum.Enum): A = 1",
        "import enum\nclass X(enum.Enum): A = 2",
    ),
    "which member": (
        "import enum\nclass X(enum.Enum): A = 1; B = 2\nx = X.A",
        "import enum\nclass X(enum.Enum): A = 1; B = 2\nx = X.B",
    ),
    "a decorator": (
        "import functools\ndef d(f): return functools.wraps(f)(lambda: f())\ndef x(): pass",
        "import functools\ndef d(f): return functools.wraps(f)(lambda: f())\n@d\ndef x(): pass",
    ),
    "what a decorator wraps": (
        "import functools\ndef d(f): return functools.wraps(f)(lambda: f())\n@d\ndef x(): return 1",
        "import functools\ndef d(f): return functools.wraps(f)(lambda: f())\n@d\ndef x(): return 2",
    ),
    "a decorator's argument": (
        "def d(n): return lambda f: lambda: f(n)\n@d(1)\ndef x(n): pass",
        "def d(n): return lambda f: lambda: f(n)\n@d(2)\ndef x(n): pass",
    ),
    "a library's decorator": (
        "import functools\n@functools.lru_cache(1)\ndef x(): pass",
        "import functools\n@functools.lru_cache(2)\ndef x(): pass",
    ),
    "what a dispatch has": (
        "import functools\n@functools.singledispatch\ndef x(a): pass\nx.register(int, len)",
        "import functools\n@functools.singledispatch\ndef x(a): pass\nx.register(int, abs)",
    ),
    "a partial's arguments": (
        "from functools import partial; x = partial(len, 1)",
        "from functools import partial; x = partial(len, 2)",
    ),
    "a partial's keywords": (
        "from functools import partial; x = partial(len, a=1)",
        "from functools import partial; x = partial(len, a=2)",
    ),
    "a partial method": (
        "from functools import partialmethod as p\nclass X: f = p(len, 1)",
        "from functools import partialmethod as p\nclass X: f = p(len, 2)",
    ),
    "whose method it is": (
        "class X:\n  def f(self): pass\na = X(); b = X(); x = a.f",
        "class X:\n  def f(self): pass\na = X(); b = X(); x = b.f",
    ),
    "a weak reference that died": (
        "import weakref\nclass X: pass\na = X(); b = weakref.ref(a)\nkept = [a]; del a",
        "import weakref\nclass X: pass\na = X(); b = weakref.ref(a)\nkept = [X()]; del a",
    ),
    "a weak reference to another": (
        "import weakref\nclass X: pass\na = X(); b = X(); x = weakref.ref(a)",
        "import weakref\nclass X: pass\na = X(); b = X(); x = weakref.ref(b)",
    ),
    "a weak method": (
        "import weakref\nclass X:\n  def f(s): pass\n  def g(s): pass\na = X(); x = weakref.WeakMethod(a.f)",
        "import weakref\nclass X:\n  def f(s): pass\n  def g(s): pass\na = X(); x = weakref.WeakMethod(a.g)",
    ),
    "the order of weak keys": (
        "import weakref\ndef f(): pass\ndef g(): pass\nx = weakref.WeakKeyDictionary(); x[f] = 1; x[g] = 1",
        "import weakref\ndef f(): pass\ndef g(): pass\nx = weakref.WeakKeyDictionary(); x[g] = 1; x[f] = 1",
    ),
    "what is in a weak set": (
        "import weakref\ndef f(): pass\ndef g(): pass\nx = weakref.WeakSet([f])",
        "import weakref\ndef f(): pass\ndef g(): pass\nx = weakref.WeakSet([g])",
    ),
    "where a cycle closes": ("x = [[]]; x[0].append(x)", "x = [[]]; x[0].append(x[0])"),
    "what lies deep": (
        "x = 1\nfor _ in range(3_000): x = [x]",
        "x = 2\nfor _ in range(3_000): x = [x]",
    ),
    "the order of receivers": (
        """
        from django.dispatch import Signal
        def f(**k): pass
        def g(**k): pass
        x = Signal(); x.connect(f); x.connect(g)
        """,
        """
        from django.dispatch import Signal
        def f(**k): pass
        def g(**k): pass
        x = Signal(); x.connect(g); x.connect(f)
        """,
    ),
    "the sender of a receiver": (
        """
        from django.dispatch import Signal
        class A: pass
        class B: pass
        def f(**k): pass
        x = Signal(); x.connect(f, sender=A)
        """,
        """
        from django.dispatch import Signal
        class A: pass
        class B: pass
        def f(**k): pass
        x = Signal(); x.connect(f, sender=B)
        """,
    ),
    "the order of a receiver of one sender and of one of all": (
        """
        from django.dispatch import Signal
        class A: pass
        def f(**k): pass
        def g(**k): pass
        x = Signal(); x.connect(f, sender=A); x.connect(g)
        """,
        """
        from django.dispatch import Signal
        class A: pass
        def f(**k): pass
        def g(**k): pass
        x = Signal(); x.connect(g); x.connect(f, sender=A)
        """,
    ),
    "any sender": (
        """
        from django.dispatch import Signal
        class A: pass
        def f(**k): pass
        x = Signal(); x.connect(f, sender=A)
        """,
        """
        from django.dispatch import Signal
        class A: pass
        def f(**k): pass
        x = Signal(); x.connect(f)
        """,
    ),
    "the identifier of a receiver": (
        "from django.dispatch import Signal\ndef f(**k): pass\nx = Signal(); x.connect(f, dispatch_uid='a')",
        "from django.dispatch import Signal\ndef f(**k): pass\nx = Signal(); x.connect(f, dispatch_uid='b')",
    ),
    "a receiver of blinker's": (
        "from blinker import Signal\ndef f(s): pass\ndef g(s): pass\nx = Signal(); x.connect(f)",
        "from blinker import Signal\ndef f(s): pass\ndef g(s): pass\nx = Signal(); x.connect(g)",
    ),
    "the function of a lazy object": (
        "from django.utils.functional import SimpleLazyObject as L; x = L(lambda: 1)",
        "from django.utils.functional import SimpleLazyObject as L; x = L(lambda: 2)",
    ),
    "a setting of a cache": ("class X: cache_timeout = 60", "class X: cache_timeout = 30"),
    "a method of a cache": (
        "class X:\n  def get_cache(self): return 1",
        "class X:\n  def get_cache(self): return 2",
    ),
    "a global that is called cache": ("CACHES = {'a': 1}", "CACHES = {'a': 2}"),
    "what a cached property computes": (
        "from functools import cached_property\nclass X:\n  a = cached_property(lambda self: 1)",
        "from functools import cached_property\nclass X:\n  a = cached_property(lambda self: 2)",
    ),
    "the level of a logger": (
        "import logging; x = logging.Logger('a', 10)",
        "import logging; x = logging.Logger('a', 20)",
    ),
}

SAME: dict[str, tuple[str, str]] = {
    "the order of globals": ("x = 1; y = 2", "y = 2; x = 1"),
    "the order in a set": ("x = {'a', 'b', (1, 'c')}", "x = {(1, 'c'), 'b', 'a'}"),
    "the order in a set of functions": (
        "def f(): pass\ndef g(): pass\nx = {f, g, len}",
        "def f(): pass\ndef g(): pass\nx = {len, g, f}",
    ),
    "the order in a set of instances": (
        "class X:\n  def __init__(self, a): self.a = a\nx = {X(n) for n in range(50)}",
        "class X:\n  def __init__(self, a): self.a = a\nx = {X(n) for n in reversed(range(50))}",
    ),
    "the order in sets of sets": (
        "x = {frozenset({frozenset({str(n), 'a'}), 'b'}) for n in range(50)}",
        "x = {frozenset({'b', frozenset({'a', str(n)})}) for n in reversed(range(50))}",
    ),
    "constants that are one": ("x = [(1, 2)]; y = x[0]; y = tuple([1, 2])", "x = [(1, 2)]; y = x[0]"),
    "patterns that are one": (
        "import re; x = re.compile('a'); y = re.compile('a')",
        "import re; x = re.compile('a'); re.purge(); y = re.compile('a')",
    ),
    "types with arguments that are one": ("x = list[int]; y = x", "x = list[int]; y = list[int]"),
    "typing's that are one": (
        "from typing import Optional as O; x = O[int]; y = O[int]",
        "import typing; from typing import Optional as O; x = O[int]; [f() for f in typing._cleanups]; y = O[int]; del typing",
    ),
    "methods that are one": (
        "class X:\n  def f(self): pass\na = X(); x = a.f; y = x",
        "class X:\n  def f(self): pass\na = X(); x = a.f; y = a.f",
    ),
    "time zones that are one": (
        "from zoneinfo import ZoneInfo as Z; x = Z('UTC'); y = Z('UTC')",
        "from zoneinfo import ZoneInfo as Z; x = Z('UTC'); y = Z.no_cache('UTC')",
    ),
    "where a function stands": ("def x(): pass", "\n\ndef x(): pass"),
    "a cached property": (
        "from functools import cached_property\nclass X:\n  a = cached_property(lambda self: 1)\nx = X()",
        "from functools import cached_property\nclass X:\n  a = cached_property(lambda self: 1)\nx = X(); x.a",
    ),
    "a cached property of Django's": (
        "from django.utils.functional import cached_property\nclass X:\n  a = cached_property(lambda self: 1)\nx = X()",
        "from django.utils.functional import cached_property\nclass X:\n  a = cached_property(lambda self: 1)\nx = X(); x.a",
    ),
    "a cached property of werkzeug's": (
        "from werkzeug.utils import cached_property\nclass X:\n  @cached_property\n  def a(self): return 1\nx = X()",
        "from werkzeug.utils import cached_property\nclass X:\n  @cached_property\n  def a(self): return 1\nx = X(); x.a",
    ),
    "a cache in an instance": (
        "class X:\n  def __init__(self): self._cache = {}\nx = X()",
        "class X:\n  def __init__(self): self._cache = {}\nx = X(); x._cache[1] = 2",
    ),
    "a cache in a slot": (
        "class X: __slots__ = '_cached',\nx = X()",
        "class X: __slots__ = '_cached',\nx = X(); x._cached = 1",
    ),
    "a cache in a class": ("class X: cache = {}", "class X: cache = {1: 2}"),
    "a cache in a closure": (
        "def m():\n  cache = {}\n  return lambda n: cache.setdefault(n, n)\nx = m()",
        "def m():\n  cache = {}\n  return lambda n: cache.setdefault(n, n)\nx = m(); x(1)",
    ),
    "what lru_cache holds": (
        "import functools\n@functools.lru_cache\ndef x(n): return n",
        "import functools\n@functools.lru_cache\ndef x(n): return n\nx(1)",
    ),
    "a dispatch that was asked": (
        "import functools\n@functools.singledispatch\ndef x(a): pass\nx.register(int, len)",
        "import functools\n@functools.singledispatch\ndef x(a): pass\nx.register(int, len)\nx.dispatch(bool)",
    ),
    "a hash that was computed": (
        "class X:\n  def __init__(self): self._hash = None\nx = X()",
        "class X:\n  def __init__(self): self._hash = None\nx = X(); x._hash = 12345678",
    ),
    "a lazy object that was asked": (
        "from django.utils.functional import SimpleLazyObject as L; x = L(lambda: [1])",
        "from django.utils.functional import SimpleLazyObject as L; x = L(lambda: [1]); len(x)",
    ),
    "a path that was printed": (
        "from pathlib import Path; x = Path('/a')",
        "from pathlib import Path; x = Path('/a'); str(x), hash(x), x.parts",
    ),
    "flags that were combined": (
        "import enum\nclass X(enum.Flag): A = 1; B = 2",
        "import enum\nclass X(enum.Flag): A = 1; B = 2\nX.A | X.B",
    ),
    "an instance that was copied": (
        "import copy\nclass X: __slots__ = 'a',\nx = X()",
        "import copy\nclass X: __slots__ = 'a',\nx = X(); copy.copy(x)",
    ),
    "how many were made before": (
        "class X:\n  n = 0\n  def __init__(self): self.creation_counter = X.creation_counter = X.n\nx = X(); X.n = 0",
        "class X:\n  n = 1\n  def __init__(self): self.creation_counter = X.creation_counter = X.n\nx = X(); X.n = 0",
    ),
    "receivers that died": (
        "from django.dispatch import Signal\ndef f(**k): pass\nx = Signal(); x.connect(f)",
        "from django.dispatch import Signal\ndef f(**k): pass\nx = Signal(); x.connect(f)\nx.connect(lambda **k: 1)",
    ),
    "the order of receivers of different senders": (
        """
        from django.dispatch import Signal
        class A: pass
        class B: pass
        def f(**k): pass
        x = Signal(); x.connect(f, sender=A); x.connect(f, sender=B)
        """,
        """
        from django.dispatch import Signal
        class A: pass
        class B: pass
        def f(**k): pass
        x = Signal(); x.connect(f, sender=B); x.connect(f, sender=A)
        """,
    ),
    "the order in which apps had models": (
        "from django.apps.registry import Apps; x = Apps(); x.all_models['a']['m'] = 1; x.all_models['b']",
        "from django.apps.registry import Apps; x = Apps(); x.all_models['b']; x.all_models['a']['m'] = 1",
    ),
    "the order in which loggers were made": (
        "import logging; x = logging.Manager(logging.root); x.getLogger('a'); x.getLogger('b')",
        "import logging; x = logging.Manager(logging.root); x.getLogger('b'); x.getLogger('a')",
    ),
    "what a forward reference led to": (
        "import typing\nclass X: a: typing.List['int']",
        "import typing\nclass X: a: typing.List['int']\ntyping.get_type_hints(X)",
    ),
    "an abstract class that was asked": (
        "import abc\nclass X(abc.ABC): pass",
        "import abc\nclass X(abc.ABC): pass\nisinstance(1, X)",
    ),
    "an address": (
        """
        class X: pass
        x = X()
        x.at, x.text, x.hex, x.hash = id(x), f"at {id(x)}", hex(id(X)), hash(x)
        """,
        """
        class X: pass
        before = [X() for _ in range(999)]
        x = X()
        del before
        x.at, x.text, x.hex, x.hash = id(x), f"at {id(x)}", hex(id(X)), hash(x)
        """,
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_a_user_could_see_differs(name: str) -> None:
    one, other = DIFFERENT[name]
    assert digest_of(one) == digest_of(one)
    assert digest_of(other) == digest_of(other)
    assert digest_of(one) != digest_of(other)


@pytest.mark.parametrize("name", SAME)
def test_what_nobody_could_see_does_not_differ(name: str) -> None:
    one, other = SAME[name]
    assert digest_of(one) == digest_of(other)


def test_a_state_made_twice_has_the_same_digest_whatever_the_hashes_of_texts_are() -> None:
    """Each in a process of its own, with all that the tables have."""
    script = """
        import json, sys
        from tests.server.load import test_digest as t
        found = {f"{name} {n}": t.digest_of(source) for table in (t.DIFFERENT, t.SAME)
                 for name, sources in table.items() for n, source in enumerate(sources)}
        print(json.dumps(found, sort_keys=True))
    """
    found = [
        subprocess.run(
            [sys.executable, "-c", dedent(script)],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]


@pytest.mark.skipif(id(object()) < digest._HIGH, reason="objects lie where a user's numbers may be")
def test_an_address_of_what_is_not_looked_at() -> None:
    kept = [object() for _ in range(2)]
    one, other = ([id(known), f"<object at {id(known):#x}>"] for known in kept)
    assert one != other
    assert digest_of_value(one) == digest_of_value(other)
    assert digest_of_value(id(kept)) != digest_of_value(id(kept) + (1 << 40))


# --- by properties ---

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, -0.0, 1.0, float("nan"), 1j, 2**70]),
    st.sampled_from(["", "a", "\n", "'", "new", "list", "\ud800", "1"]),
    st.sampled_from([b"", b"a"]),
)
HASHABLE = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3), max_leaves=6
)
DATA = st.recursive(
    HASHABLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(HASHABLE, inner, max_size=3),
        st.sets(HASHABLE, max_size=3),
        st.lists(inner, max_size=2).map(deque),
        st.dictionaries(HASHABLE, inner, max_size=2).map(OrderedDict),
    ),
    max_leaves=8,
)


def structure(data: object) -> str:
    """With types and order; of sets without."""
    match data:
        case list() | tuple() | deque():
            inner = [structure(element) for element in data]
        case dict():
            inner = [f"{structure(key)}: {structure(value)}" for key, value in data.items()]
        case set() | frozenset():
            inner = sorted(structure(element) for element in data)
        case _:
            return f"{type(data).__name__} {data!r}"
    return f"{type(data).__name__}({', '.join(inner)})"


@given(DATA, DATA)
@settings(max_examples=200, deadline=None)
def test_plain_data_has_equal_digests_if_and_only_if_it_is_equal(one: object, other: object) -> None:
    assert digest_of_value(one) == digest_of_value(copy.deepcopy(one))
    assert (digest_of_value(one) == digest_of_value(other)) == (structure(one) == structure(other))


@given(DATA, st.sampled_from([[], {}, (), "a", 0]))
@settings(max_examples=100, deadline=None)
def test_one_more_element_anywhere_is_seen(data: object, more: object) -> None:
    before = structure(data)
    for place in range(len(_containers(data))):
        changed = copy.deepcopy(data)
        container = _containers(changed)[place]
        if isinstance(container, list | deque):
            container.append(more)
        elif isinstance(container, dict):
            container["one more"] = more
        else:
            continue
        assert structure(changed) != before
        assert digest_of_value(changed) != digest_of_value(data)


def _containers(data: object) -> list[Any]:
    found: list[Any] = []
    below: list[Any] = [data]
    while below:
        container = below.pop()
        if isinstance(container, list | tuple | deque):
            below += container
        elif isinstance(container, dict):
            below += container.values()
        else:
            continue
        found.append(container)
    return found


GRAPHS = st.integers(1, 5).flatmap(
    lambda size: st.lists(st.lists(st.integers(0, size - 1), max_size=3), min_size=size, max_size=size)
)


def graph(edges: list[list[int]], order: Iterable[int]) -> list[Any]:
    """Lists that hold lists; the first one. They are made in this order."""
    nodes: dict[int, list[Any]] = {node: [] for node in order}
    for node, targets in enumerate(edges):
        nodes[node] += [nodes[target] for target in targets]
    return nodes[0]


def numbered(edges: list[list[int]]) -> list[list[int]]:
    """What can be reached from the first node, by the order in which it is met."""
    numbers = {0: 0}
    found: list[list[int]] = []
    for node in numbers_in_turn(numbers):
        found.append([numbers.setdefault(target, len(numbers)) for target in edges[node]])
    return found


def numbers_in_turn(numbers: Mapping[int, int]) -> Iterator[int]:
    position = 0
    while position < len(numbers):
        yield list(numbers)[position]
        position += 1


@given(GRAPHS, GRAPHS)
@settings(max_examples=200, deadline=None)
def test_cycles_and_shared_objects_count(one: list[list[int]], other: list[list[int]]) -> None:
    backwards = graph(one, reversed(range(len(one))))
    assert digest_of_value(graph(one, range(len(one)))) == digest_of_value(backwards)
    is_same = numbered(one) == numbered(other)
    assert (digest_of_value(backwards) == digest_of_value(graph(other, range(len(other))))) == is_same


# --- strangers ---

HOSTILE = """
    import collections, datetime, pathlib, types
    def fail(*args, **kwargs): raise SystemExit("a stranger was asked")
    methods = "eq hash repr str getattribute getattr len iter bool call lt format index int float bytes contains getitem reduce "
    methods += "reduce_ex copy fspath instancecheck subclasscheck"
    methods = [f"__{name}__" for name in methods.split()] + ["items", "keys", "values", "copy", "encode", "mro"]
    Meta = type("Meta", (type,), dict.fromkeys(("__bases__", "__mro__", "__name__", "__dict__", "__class__"), property(fail)))
    strangers = []
    for base, arguments in [
        (object, ()), (str, ("a",)), (bytes, (b"a",)), (bytearray, (b"a",)), (int, (1,)), (float, (1,)), (complex, (1,)),
        (list, ([1],)), (tuple, ([1],)), (dict, ({1: 2},)), (set, ([1],)), (frozenset, ([1],)), (Exception, (1,)),
        (collections.OrderedDict, ({1: 2},)), (collections.deque, ([1],)), (collections.defaultdict, (list,)),
        (datetime.datetime, (2020, 1, 1)), (pathlib.PurePosixPath, ("/a",)), (types.ModuleType, ("a",)), (type, ("A", (), {})),
    ]:
        unseen = () if base is type else ("__class__", "__dict__", "__doc__", "__name__", "__mro__")
        namespace = {name: property(fail) for name in unseen}
        Hostile = (type if base is type else Meta)("Hostile", (base,), namespace)
        strangers.append(Hostile(*arguments))
        for name in methods:
            type.__setattr__(Hostile, name, fail)
    del Hostile
    for name in methods:
        type.__setattr__(Meta, name, fail)
    nested = (strangers, [dict(enumerate(strangers))])
"""


def test_nobody_is_asked() -> None:
    module = load(HOSTILE)
    one = look(module)
    assert not one.partial
    assert one.digest() == look(load(HOSTILE)).digest()


def test_hostile_keys_and_members() -> None:
    module = load("""
        armed = False
        class Key:
            def __init__(self, n): self.n = n
            def __hash__(self): assert not armed; return 1
            def __eq__(self, other): assert not armed; return self is other
        keys = [Key(n) for n in range(9)]
        import collections
        x = dict.fromkeys(keys)
        y = set(keys)
        z = collections.OrderedDict.fromkeys(keys)
        class Own(set): pass
        w = Own(keys)
        armed = True
    """)
    assert not look(module).partial


def test_proxies_are_not_followed() -> None:
    source = """
        from contextvars import ContextVar
        from werkzeug.local import LocalProxy
        slot = ContextVar("slot")
        x = LocalProxy(slot)
        y = LocalProxy(lambda: 1 / 0)
    """
    assert digest_of(source) == digest_of(source)
    assert digest_of(source) != digest_of(source.replace("1 / 0", "1 / 2"))


def test_of_what_lives_only_here_the_type_counts() -> None:
    source = """
        import asyncio, contextvars, io, logging, socket, sys, threading
        lock, rlock, event, local = threading.Lock(), threading.RLock(), threading.Event(), threading.local()
        local.a = id(local)
        thread = threading.Thread(target=len)
        text, opened = io.StringIO("a"), open("/dev/null")
        opened.close()
        def generate(): yield 1
        generator, frame, context = generate(), sys._getframe(), contextvars.copy_context()
        variable = contextvars.ContextVar("a")
        token = variable.set(1)
        view = memoryview(b"a")
        server = socket.socket()
        server.close()
    """
    assert digest_of(source) == digest_of(source)


@pytest.mark.parametrize(
    "name", ["asyncio", "email", "http", "json", "logging", "unittest", "xml", "django", "werkzeug"]
)
def test_whole_libraries_as_if_they_were_the_users(name: str) -> None:
    """Also a second time: looking has changed nothing."""
    modules = [
        module
        for known, module in sys.modules.items()
        if (known == name or known.startswith(f"{name}.")) and type(module) is ModuleType
    ]
    one, other = look(*modules), look(*modules)
    assert one.is_complete
    assert one.describe(one.digest()) == other.describe(other.digest())


def test_looking_changes_nothing() -> None:
    module = load("""
        from functools import cached_property
        from pathlib import PurePath
        from django.utils.functional import SimpleLazyObject
        class X:
            @cached_property
            def a(self): return 1
        x, path, lazy = X(), PurePath("/a"), SimpleLazyObject(dict)
    """)
    before = {name: id(value) for name, value in vars(module).items()}
    look(module)
    assert {name: id(value) for name, value in vars(module).items()} == before
    assert vars(module)["x"].__dict__ == {}
    assert object.__getattribute__(vars(module)["lazy"], "_wrapped") is not None
    if sys.version_info < (3, 12):
        assert not hasattr(vars(module)["path"], "_str")


def test_nothing_is_kept_alive() -> None:
    module = load("class X: pass\nx = X()")
    seen = weakref.ref(vars(module)["x"])
    digester = look(module)
    del vars(module)["x"]
    gc.collect()
    assert seen() is None
    assert set(digester.describe(["module app.views"])) >= {"app.views:x"}


# --- names, references, registries ---


def test_one_label_for_each_module_and_registry_and_one_part_for_each_name_and_item() -> None:
    views, urls = load("def index(): pass"), load("x = 1", "app.urls")
    registries = [("URL patterns", ["a", "b"]), ("admin", {int: 1, "x": 2, 3: 4}), ("settings", object())]
    digester = look(views, urls, registries=registries)
    found = digester.digest()
    assert list(found) == ["module app.urls", "module app.views", "URL patterns", "admin", "settings"]
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in found.values())
    assert set(digester.describe(["module app.views"])) >= {"app.views:index", "app.views:__name__"}
    assert not any("__builtins__" in name for name in digester.describe(found))
    assert list(digester.describe(["URL patterns"])) == ["URL patterns:0", "URL patterns:1"]
    assert list(digester.describe(["admin"])) == ["admin (order)", "admin:builtins.int", "admin:x", "admin:0x3"]
    assert list(digester.describe(["settings"])) == ["settings"]
    assert digester.describe(["nothing"]) == {}


def differing(one: Digester, other: Digester) -> list[str]:
    labels = [label for label in one.digest() if one.digest()[label] != other.digest()[label]]
    parts = other.describe(labels)
    return [name for name, value in one.describe(labels).items() if parts[name] != value]


REGISTRY_CHANGES: dict[str, tuple[object, object, list[str]]] = {
    "an item": ([1, 2, 3], [1, 5, 3], ["registry:1"]),
    "two items": ((1, 2, 3), (2, 1, 3), ["registry:0", "registry:1"]),
    "a value": ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ["registry:b"]),
    "the order": ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ["registry (order)"]),
    "the order of an OrderedDict": (
        OrderedDict(a=1, b=2),
        OrderedDict(b=2, a=1),
        ["registry (order)"],
    ),
    "an attribute": (types.SimpleNamespace(a=1), types.SimpleNamespace(a=2), ["registry"]),
    "keys that names do not tell apart": ({1: 1, "0x1": 2}, {1: 1, "0x1": 3}, ["registry"]),
}


@pytest.mark.parametrize("name", REGISTRY_CHANGES)
def test_changes_of_a_registry_are_told_by_its_parts(name: str) -> None:
    one, other, expected = REGISTRY_CHANGES[name]
    assert differing(look(registries=[("registry", one)]), look(registries=[("registry", other)])) == expected


APP = """
    class App:
        def __init__(self): self.routes = {"/": [1]}
    app = App()
    def view(): pass
"""


def project(order: str = "ab", route: int = 1) -> Digester:
    """Two modules that register something with a third, in this order."""
    main = load(APP, "main")
    app = vars(main)["app"]
    modules = [main]
    for name in order:
        module = load(f"own = [{route if name == 'b' else 1}]", name)
        vars(module).update(app=app, App=vars(main)["App"], view=vars(main)["view"])
        app.routes[f"/{name}"] = vars(module)["own"]
        modules.append(module)
    return look(*modules)


def test_what_several_modules_have_is_told_in_one_of_them() -> None:
    assert differing(project(), project()) == []
    assert differing(project("ab"), project("ba")) == ["a:app"]  # the first of those that have it
    assert differing(project(route=1), project(route=2)) == ["b:own"]


def test_an_object_is_told_under_the_nearest_name() -> None:
    source = "a = {{'far': [[[[ ]]]]}}; b = a['far'][0]; near = [[b, {}]]; a['near'] = [near]"
    one, other = look(load(source.format(1))), look(load(source.format(2)))
    assert differing(one, other) == ["app.views:near"]


def test_a_class_is_told_where_it_was_made() -> None:
    def modules(value: int) -> list[ModuleType]:
        home = load(f"class X: a = {value}\ndef f(): return {value}", "z")
        away = ModuleType("a")
        vars(away).update(Other=vars(home)["X"], g=vars(home)["f"])
        return [home, away]

    assert differing(look(*modules(1)), look(*modules(2))) == ["z:X", "z:f"]


def test_functions_of_libraries_are_told_by_their_names() -> None:
    library = load("def f(): return 1\nclass C: a = 1", "library"), load("def f(): return 2\nclass C: a = 2", "library")
    found = []
    for version in library:
        sys.modules["library"] = version
        try:
            module = load("")
            vars(module).update(f=vars(version)["f"], C=vars(version)["C"])
            found.append(look(module).digest())
        finally:
            del sys.modules["library"]
    assert found[0] == found[1]


def test_a_thing_that_stands_for_a_module() -> None:
    class Lazy:
        def __init__(self, a: int) -> None:
            self.a = a

    found = [Digester({"lazy": Lazy(a)}).digest() for a in (1, 1, 2)]  # type: ignore[dict-item]
    assert found[0] == found[1] != found[2]


# --- limits ---

HUGE: dict[str, Callable[[], object]] = {
    "a list": lambda: list(range(1_000_000)),
    "a dict": lambda: dict.fromkeys(range(1_000_000)),
    "a set": lambda: set(range(1_000_000)),
    "a list of lists": lambda: [[number] for number in range(200_000)],
    "a deque": lambda: deque(range(1_000_000)),
}


@pytest.mark.parametrize("name", HUGE)
def test_of_what_is_huge_a_part_is_looked_at(name: str) -> None:
    one, other = (look(holding(HUGE[name]()), most_per_name=5_000) for _ in range(2))
    assert one.digest() == other.digest()
    assert one.partial == ("app.views:value",)
    assert one.looked_at < 11_000
    assert one.is_complete


def test_what_is_near_is_looked_at_first() -> None:
    values = [[[list(range(10_000))], mark] for mark in (1, 2)]
    assert digest_of_value(values[0], most_per_name=1_000) != digest_of_value(values[1], most_per_name=1_000)


def test_a_registry_with_very_many_items_is_one_part() -> None:
    digester = look(registries=[("list", list(range(1_000))), ("dict", dict.fromkeys(range(1_000)))], most_per_name=100)
    assert digester.describe(digester.digest()).keys() == {"list", "dict"} == set(digester.partial)


def test_equality_proves_nothing_once_there_are_too_many() -> None:
    module = load("x = [[n] for n in range(1_000)]\ny = [1]")
    assert look(module).is_complete
    digester = look(module, most=500)
    assert not digester.is_complete
    assert "app.views:x" in digester.partial
    assert digester.looked_at < 600
    assert not look(holding(list(range(1_000_000))), most=500).is_complete


def test_others_run_meanwhile() -> None:
    pauses = []
    Digester({"app.views": holding([[n] for n in range(20_000)])}, give_way=lambda: pauses.append(1)).digest()
    assert len(pauses) > 5


def test_what_cannot_be_told_is_a_part_that_was_not_looked_at() -> None:
    source = """
        class Signal: pass
        Signal.__module__ = "django.dispatch.dispatcher"
        x = Signal()
        x.receivers = 5
        y = 1
    """
    one, other = look(load(source)), look(load(source))
    assert one.partial == ("app.views:x",)
    assert one.digest() == other.digest()


def test_a_container_that_changes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    def changing(mapping: dict[object, object]) -> Iterator[object]:
        yield from mapping
        raise RuntimeError("dictionary changed size during iteration")

    kind = anatomy.Kind(lambda mapping: ("dict", changing(mapping)))
    monkeypatch.setitem(anatomy._EXACT, id(dict), kind)
    digester = Digester({"app.views": holding({"a": 1})})
    assert digester.digest()
    assert "app.views:value" in digester.partial


def test_a_module_that_no_name_leads_to_is_looked_into(tmp_path: Path) -> None:
    """Loaded by its path, as plugins are."""

    def plugin(title: str) -> ModuleType:
        module = ModuleType("plugin")
        module.__file__ = str(tmp_path / "plugin.py")
        vars(module)["TITLE"] = title
        return module

    one, other = (digest_of_value([plugin(title)]) for title in ("one", "other"))
    assert one != other
    assert one == digest_of_value([plugin("one")])
