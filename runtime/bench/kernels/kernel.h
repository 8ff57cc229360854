// What every kernel is made of: it prints when its own code began, how long its work took by its
// own clock, and a checksum, which is the same wherever it runs.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// The work: `size` says how much of it.
static uint64_t work(unsigned long size);

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) {
        exit(1);
    }
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int main(int count, char **arguments) {
    printf("start_ns=%llu\n", (unsigned long long)nanoseconds(CLOCK_REALTIME));
    fflush(stdout);
    char *end = NULL;
    unsigned long size = count == 2 ? strtoul(arguments[1], &end, 10) : 0;
    if (end == NULL || end == arguments[1] || *end != '\0') {
        fprintf(stderr, "usage: kernel SIZE\n");
        return 2;
    }
    uint64_t begin = nanoseconds(CLOCK_MONOTONIC);
    uint64_t checksum = work(size);
    uint64_t duration = nanoseconds(CLOCK_MONOTONIC) - begin;
    printf("duration_ns=%llu\n", (unsigned long long)duration);
    printf("checksum=%016llx\n", (unsigned long long)checksum);
    return 0;
}

// One step of a xorshift generator with 64 bits of state.
static inline uint64_t next(uint64_t state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}
