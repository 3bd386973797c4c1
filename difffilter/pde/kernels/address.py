"""Calls of compiled functions by address, checked against the callee's signature.

Numba optimises a jitted function anew inside each function that calls it, and the body of a parallel
loop three times over. A call by address takes a few nanoseconds more and saves seconds of
compilation. An `Address` carries the names and types of the callee's parameters as a Numba type, so
a `call` whose arguments do not match fails to compile instead of reading the wrong memory.
"""

import inspect
from functools import cache

from llvmlite import ir
from numba import config, typeof, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import (
    NativeValue,
    intrinsic,
    models,
    register_model,
    typeof_impl,
    unbox,
)

__all__ = ["Address", "AddressType", "address_of", "call"]


class AddressType(types.Type):
    """Numba's type of an `Address`: the names and the types of the callee's parameters.

    Functions with equal parameters share a type, so that a caller is compiled once for all of them;
    ``function`` is the name of the first.
    """

    def __init__(self, function, parameters, kinds):
        self.function, self.parameters, self.kinds = function, parameters, kinds
        super().__init__(f"Address({function})")

    @property
    def key(self):
        return self.parameters, self.kinds

    def mismatch(self, given):
        """The first difference between the given argument types and the parameters, or ``None``."""
        if len(given) != len(self.kinds):
            return f"{len(given)} arguments are given; expected {len(self.kinds)}"
        for name, kind, actual in zip(self.parameters, self.kinds, given, strict=True):
            if not _fits(actual, kind):
                return f"{name} is {actual}; expected {kind}"
        return None


def _fits(given, kind):
    """Whether code compiled for one type can be handed a value of another without a conversion."""
    if isinstance(given, types.Array) and isinstance(kind, types.Array) and not kind.mutable:
        given = given.copy(readonly=True)  # read-only parameters take writable arrays, too
    return given == kind


class Address:
    """The address of a compiled function, as made by `address_of`."""

    __slots__ = ("_numba_type_", "value")

    def __init__(self, value, numba_type):
        self.value, self._numba_type_ = value, numba_type


@register_model(AddressType)
class _AddressModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, ir.IntType(64))


@typeof_impl.register(Address)
def _typeof_address(value, context):
    return value._numba_type_


@unbox(AddressType)
def _unbox_address(kind, value, c):
    number = c.pyapi.object_getattr_string(value, "value")
    address = c.pyapi.long_as_longlong(number)
    c.pyapi.decref(number)
    return NativeValue(address, is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


@cache
def address_of(function, **kinds):
    """The address of a jitted function that returns nothing.

    Parameters
    ----------
    function : Dispatcher
    **kinds : Numba type, Address, or tuple of Address
        The types of the parameters, by name, an address standing for its own type; those left out
        are ``int64``.

    Returns
    -------
    Address
        Where Numba compiles nothing, the function itself.
    """
    if config.DISABLE_JIT:
        return function
    parameters = tuple(inspect.signature(function.py_func).parameters)
    if unknown := sorted(set(kinds) - set(parameters)):
        raise TypeError(f"{function.__name__} has no parameter {', '.join(unknown)}")
    given = (kinds.get(name, types.int64) for name in parameters)
    signature = tuple(kind if isinstance(kind, types.Type) else typeof(kind) for kind in given)
    function.compile(signature)
    compiled = function.overloads[signature]
    return Address(
        compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name),
        AddressType(function.__name__, parameters, signature),
    )


@intrinsic
def call(typing, address, arguments):
    """Call the function at an `Address` with a tuple of arguments."""
    if not isinstance(address, AddressType):
        raise TypingError(f"call: address is {address}; expected an Address")
    if different := address.mismatch(types.unliteral(arguments).types):
        raise TypingError(f"call of {address.function}: {different}")

    def codegen(context, builder, signature, values):
        kinds = address.kinds
        function = context.call_conv.get_function_type(types.none, kinds).as_pointer()
        status, _ = context.call_conv.call_function(
            builder, builder.inttoptr(values[0], function), types.none, kinds,
            cgutils.unpack_tuple(builder, values[1]),
        )  # fmt: skip
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.void(address, arguments), codegen


if config.DISABLE_JIT:

    def call(function, arguments):
        """Call a function with a tuple of arguments."""
        function(*arguments)
