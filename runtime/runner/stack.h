// Included before everything else into WAMR's file that makes the operand stack (wamr.cmake). There
// WAMR fills all of it with zeros, so that a container pays for every page, used or not. The C
// library gives large blocks as pages of zeros, which cost nothing until the guest touches them.

#ifndef WAMR_RUNNER_STACK_H
#define WAMR_RUNNER_STACK_H

#include <stdlib.h>

#include "wasm_exec_env.h"
#include "wasm_runtime_common.h"

#define wasm_runtime_malloc(size) calloc(1, size)

// Nothing but the block from above may be left as it is: anything else does not compile.
#define memset(place, byte, size)                                                      \
    _Static_assert(_Generic((place), WASMExecEnv *: 1, default: 0) && (byte) == 0,     \
                   "it has zeros already")

#endif
