// Included before everything else into WAMR's file that maps linear memory (wamr.cmake). There WAMR
// advises huge pages for whole 2 MiB of a mapping, which splits it: the kernel cannot move what is
// split, and every growth would copy the memory, with both copies there at once.

#ifndef WAMR_RUNNER_PAGES_H
#define WAMR_RUNNER_PAGES_H

#include <sys/mman.h>

#undef MADV_HUGEPAGE

#endif
