// Included before everything else into WAMR's file of instances (wamr.cmake), where it adds one
// function: which functions of the guest are being called. WAMR's own call stacks would keep a copy
// of their names in every container.

#ifndef WAMR_RUNNER_FRAMES_H
#define WAMR_RUNNER_FRAMES_H

#include "wasm_exec_env.h"
#include "wasm_interp.h"
#include "wasm_runtime.h"

// Writes the indices of the guest's functions, the innermost first, as far as there is room, and
// returns how many there are.
uint32
wamr_runner_frames(const WASMModuleInstance *instance, uint32 *indices, uint32 room)
{
    const WASMExecEnv *env = instance->cur_exec_env;
    const struct WASMInterpFrame *frame = env ? env->cur_frame : NULL;
    uint32 count = 0;

    for (; frame; frame = frame->prev_frame) {
        // The frame from which the host calls has no function.
        if (frame->function == NULL) {
            continue;
        }
        if (count < room) {
            indices[count] = (uint32)(frame->function - instance->e->functions);
        }
        count++;
    }
    return count;
}

#endif
