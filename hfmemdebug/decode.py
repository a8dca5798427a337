"""Reads JSON documents into dataclasses by their type hints, and writes them back.

Our own forty lines instead of a library: a recording is read before anything else is imported, samples are many, and
a wrong field must be told by its path. Unknown fields are ignored and null counts as absent, so that recordings of
other versions can be read as long as what is there has the type that it should have.
"""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
_Convert = Callable[[Any], Any]
# Larger than any size, count or time; keeps infinities, NaN and numbers of a thousand digits out of the arithmetic.
_MOST = 2**63


class WrongFieldError(ValueError):
    """A field is missing or is not what it should be.

    Attributes:
        path: Which one, as ``arm.name`` or ``trace.sites.0``.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def within(self, name: str) -> WrongFieldError:
        """Returns the error as it is told of a document that holds this one under a name."""
        return WrongFieldError(f"{name}.{self.path}".rstrip("."))


class _Known(NamedTuple):
    """A field of a dataclass: its attribute, what reads it, and whether it must be there."""

    attribute: str
    convert: _Convert
    needed: bool


def decode(kind: type[T], document: Any) -> T:
    """Makes a dataclass of what `encode` made of one.

    Args:
        kind: The dataclass, whose fields may be numbers, strings, booleans, other dataclasses, and tuples and
            dictionaries of such.
        document: As it comes from `json.loads`. A field that ends in an underscore is there without it.

    Raises:
        WrongFieldError: A field that must be there is not, or one that is has another type.
    """
    known = _known(kind)  # type: ignore[arg-type]
    if type(document) is not dict:
        raise WrongFieldError("")
    values = {}
    for key, value in document.items():
        field = known.get(key)
        if field is not None and (value is not None or field.needed):
            try:
                values[field.attribute] = field.convert(value)
            except WrongFieldError as error:
                raise error.within(key) from None
    try:
        return kind(**values)
    except TypeError:
        missing = (key for key, field in known.items() if field.needed and field.attribute not in values)
        raise WrongFieldError(next(missing)) from None


def encode(record: Any) -> Any:
    """Makes of a dataclass what JSON can hold; fields that have their default are left out."""
    if is_dataclass(record):
        return {
            field.name.rstrip("_"): encode(value)
            for field in fields(record)
            if (value := getattr(record, field.name)) != _default(field)
        }
    if isinstance(record, Mapping):
        return {key: encode(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [encode(value) for value in record]
    return record


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


@functools.cache
def _known(kind: type[Any]) -> dict[str, _Known]:
    """Returns the fields of a dataclass by their names in a document."""
    hints = get_type_hints(kind)
    return {
        field.name.rstrip("_"): _Known(field.name, _converter(hints[field.name]), _default(field) is MISSING)
        for field in fields(kind)
    }


def _converter(hint: Any) -> _Convert:
    """Returns what reads a value of a type: it returns the value, or raises `WrongFieldError`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _either([_converter(argument) for argument in arguments])
    if origin is tuple:
        return functools.partial(_all_of, _converter(arguments[0]))
    if origin is dict:
        return functools.partial(_by_name, _converter(arguments[1]))
    if isinstance(hint, type) and is_dataclass(hint):
        return functools.partial(decode, hint)
    return _READ[hint]


def _integer(value: Any) -> int:
    # Not isinstance: true is no number.
    if type(value) is int and -_MOST < value < _MOST:
        return value
    raise WrongFieldError("")


def _number(value: Any) -> float:
    if type(value) in (float, int) and -_MOST < value < _MOST:
        return value  # type: ignore[no-any-return]
    raise WrongFieldError("")


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise WrongFieldError("")


def _truth(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise WrongFieldError("")


def _nothing(value: Any) -> None:
    if value is not None:
        raise WrongFieldError("")


_READ: dict[Any, _Convert] = {
    int: _integer,
    float: _number,
    str: _text,
    bool: _truth,
    types.NoneType: _nothing,
    Any: lambda value: value,
}


def _either(converters: list[_Convert]) -> _Convert:
    first, *others = converters

    def convert(value: Any) -> Any:
        try:
            return first(value)
        except WrongFieldError as error:
            for other in others:
                with contextlib.suppress(WrongFieldError):
                    return other(value)
            raise error

    return convert


def _all_of(convert: _Convert, value: Any) -> tuple[Any, ...]:
    if type(value) is not list:
        raise WrongFieldError("")
    found = []
    for number, each in enumerate(value):
        try:
            found.append(convert(each))
        except WrongFieldError as error:
            raise error.within(str(number)) from None
    return tuple(found)


def _by_name(convert: _Convert, value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise WrongFieldError("")
    # A name may be anything, and is not for an error's line.
    return {name: convert(each) for name, each in value.items()}
