"""Compiled functions called by their address, so that who calls them is compiled without them.

Numba optimises a function anew as a part of each one that calls it, and the body of a parallel loop
three times over. A call by address takes some nanoseconds more, and seconds less to compile.
"""

from functools import cache

from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["address_of", "call"]


@cache
def address_of(function, *arguments):
    """Where a jitted function that returns nothing lies in memory, compiled for Numba's types of
    its arguments."""
    if config.DISABLE_JIT:
        return function
    function.compile(arguments)
    compiled = function.overloads[arguments]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


@intrinsic
def call(typing, address, arguments):
    """Call the function at an address with a tuple of arguments, of the types it is compiled for."""

    def codegen(context, builder, signature, values):
        kinds = signature.args[1].types
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
