"""Our `dataclass` beside the standard library's: the same class made by both behaves alike."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ecr_refresher.core import model, plan, records

Maker = Callable[..., Any]


def makes(dataclass: Maker, field: Maker) -> dict[str, Any]:
    """The same classes, by either."""

    @dataclass(frozen=True, slots=True)
    class Frozen:
        """A frozen one."""

        name: str
        count: int = 3
        secret: str = field(default="s", repr=False)
        note: list[int] = field(default_factory=list, compare=False)

        def twice(self) -> int:
            return self.count * 2

    @dataclass(slots=True)
    class Open:
        """One that may change."""

        name: str
        count: int = 3

    @dataclass(frozen=True, slots=True, eq=False)
    class Itself:
        """One that equals nothing but itself."""

        name: str

    @dataclass(frozen=True, slots=True)
    class One:
        """One field only."""

        name: str

    @dataclass(frozen=True, slots=True)
    class Empty:
        """Nothing in it."""

    @dataclass(frozen=True, slots=True)
    class Own:
        """One that shows and compares itself by its own words."""

        name: str

        def __repr__(self) -> str:
            return "Own"

        def __hash__(self) -> int:
            return 7

    return {kind.__name__: kind for kind in (Frozen, Open, Itself, One, Empty, Own)}


OURS, THEIRS = makes(records.dataclass, records.field), makes(dataclasses.dataclass, dataclasses.field)


def came_of(do: Callable[[], Any]) -> Any:
    """What is told of a result: the text of a value, or the type of an error."""
    try:
        return repr(do())
    except Exception as error:
        return type(error)


def put(target: Any, name: str, value: Any) -> Any:
    setattr(target, name, value)
    return target


def without(target: Any, name: str) -> Any:
    delattr(target, name)
    return target


def alike(use: Callable[[Any], Any], of: str) -> Any:
    """What both make of it, which is the same."""
    ours, theirs = came_of(lambda: use(OURS[of])), came_of(lambda: use(THEIRS[of]))
    assert ours == theirs
    return ours


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize(
    "make",
    [
        lambda kind: kind(),
        lambda kind: kind("a"),
        lambda kind: kind(name="a"),
        lambda kind: kind("a", 4),
        lambda kind: kind("a", count=4),
        lambda kind: kind(count=4),
        lambda kind: kind("a", name="a"),
        lambda kind: kind("a", nothing=1),
        lambda kind: kind("a", 4, "b", [5]),
        lambda kind: kind("a", 4, "b", [5], 6),
        lambda kind: kind(note=[1], secret="t", count=2, name="a"),
    ],
)
def test_they_are_made_and_shown_alike(kind: str, make: Callable[[Any], Any]) -> None:
    alike(make, kind)


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize(
    "use",
    [
        lambda kind: put(kind("a"), "name", "b"),
        lambda kind: without(kind("a"), "name").name,
        lambda kind: kind("a") == kind("a"),
        lambda kind: kind("a") == kind("b"),
        lambda kind: kind("a") == "a",
        lambda kind: kind("a") == kind("a", note=[1]),
        lambda kind: kind("a") == kind("a", secret="t"),
        lambda kind: hash(kind("a")) == hash(kind("a")),
        lambda kind: len({kind("a"), kind("a"), kind("b")}),
        lambda kind: kind() == kind(),
        lambda kind: hash(kind()) == hash(kind()),
        lambda kind: kind("a").twice(),
        lambda kind: kind("a").__dict__,
        lambda kind: kind("a").note is kind("a").note,
        lambda kind: dataclasses.replace(kind("a"), name="b"),
        lambda kind: dataclasses.replace(kind("a"), nothing="b"),
        lambda kind: dataclasses.asdict(kind("a")),
        lambda kind: [each.name for each in dataclasses.fields(kind)],
        lambda kind: dataclasses.is_dataclass(kind("a")),
        lambda kind: copy.copy(kind("a")),
        lambda kind: copy.deepcopy(kind("a", note=[1])),
        lambda kind: copy.deepcopy(kind("a")) == kind("a"),
        lambda kind: kind.__match_args__,
        lambda kind: kind.__slots__,
        lambda kind: kind.__doc__,
        lambda kind: kind.__hash__ is None,
        lambda kind: sorted(kind("a").__annotations__),
    ],
)
def test_they_behave_alike(kind: str, use: Callable[[Any], Any]) -> None:
    alike(use, kind)


def test_the_uses_above_tell_something() -> None:
    assert alike(lambda kind: kind("a"), "Frozen").endswith("Frozen(name='a', count=3, note=[])")
    assert alike(lambda kind: kind(), "Frozen") is TypeError
    assert alike(lambda kind: put(kind("a"), "name", "b"), "Frozen") is dataclasses.FrozenInstanceError
    assert alike(lambda kind: put(kind("a"), "name", "b"), "Open").endswith("Open(name='b', count=3)")
    assert alike(lambda kind: hash(kind("a")), "Open") is TypeError
    assert alike(lambda kind: hash(kind("a")), "Own") == "7"


def test_nothing_else_is_put_into_them() -> None:
    """Here the standard library's raises TypeError for frozen ones: its `super()` means the class without slots."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        put(OURS["Frozen"]("a"), "other", "b")
    with pytest.raises(AttributeError):
        put(OURS["Open"]("a"), "other", "b")


def test_an_error_names_the_fields_and_no_values() -> None:
    with pytest.raises(TypeError, match=r"Frozen\(\) needs 'name'"):
        OURS["Frozen"](secret="hush")
    with pytest.raises(TypeError, match="'other'") as told:
        OURS["Frozen"]("a", other="hush")
    assert "hush" not in str(told.value)


@pytest.mark.parametrize(("module", "compiles"), [("ecr_refresher.core.records", False), ("dataclasses", True)])
def test_no_method_is_compiled_for_a_class(module: str, compiles: bool) -> None:
    """What it is for. The standard library compiles six of them for each class."""
    script = f"""
import sys
from {module} import dataclass
sys.addaudithook(lambda event, told: print(told[0]) if event == "compile" else None)
@dataclass(frozen=True, slots=True)
class Kind:
    '''A doc.'''
    name: str
    count: int = 3
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ("__init__" in done.stdout) is compiles


def test_records_are_pickled_as_they_are_and_secrets_in_them_are_not() -> None:
    principal = plan.Principal("ecr", "us-east-1", (plan.Role("arn"),))
    assert pickle.loads(pickle.dumps(principal)) == principal
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(model.Credential("AWS", model.Secret("hush"), 1.0, 2.0))
