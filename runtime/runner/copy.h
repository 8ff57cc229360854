// Included before everything else into the interpreter's main file (wamr.cmake). There WAMR copies
// operands by a function of another file, a call for each value of 128 bits; this one becomes part of
// the loop. It does the same, wherever the sizes do not fit too.

#ifndef WAMR_RUNNER_COPY_H
#define WAMR_RUNNER_COPY_H

#include <string.h>

static inline int
copy_within(void *to, unsigned int room, const void *from, unsigned int count)
{
    if (count == 0) {
        return 0;
    }
    if (to == NULL) {
        return -1;
    }
    if (from == NULL || count > room) {
        memset(to, 0, room);
        return -1;
    }
    memcpy(to, from, count);
    return 0;
}

#define b_memcpy_s copy_within

#endif
