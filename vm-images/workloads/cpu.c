// Computes: a fixed amount of arithmetic on 64-bit integers and on a table in memory.
//
// An argument, else $CPU_ROUNDS, else 64, says how many rounds. Prints how long that took and a
// checksum, which depends on the number of rounds alone: the same in C, native or Wasm, and in
// Python. Then it ends with status 0; with the argument `stay` it waits to be stopped, as a pod
// whose memory is measured has to. The images give this one alone: crun hands wasmer all arguments
// joined to one.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef __wasi__
#include <signal.h>

static void stop(int signal_number) {
    (void)signal_number;
    _exit(0);
}
#endif

#define WORDS 4096
#define STEPS 65536

static uint64_t table[WORDS];

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) {
        exit(1);
    }
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// One step of a xorshift generator with 64 bits of state.
static uint64_t next(uint64_t state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t compute(unsigned long rounds) {
    uint64_t state = 88172645463325252U;
    uint64_t checksum = 0;
    for (unsigned long round = 0; round < rounds; round++) {
        for (int step = 0; step < STEPS; step++) {
            state = next(state);
            uint64_t *word = &table[state % WORDS];
            *word = *word * 6364136223846793005U + state;
            checksum = (checksum << 1 | checksum >> 63) ^ *word;
        }
    }
    return checksum;
}

int main(int count, char **arguments) {
    printf("start_ns=%llu\n", (unsigned long long)nanoseconds(CLOCK_REALTIME));
    fflush(stdout);
#ifndef __wasi__
    // WASI has no signals: there the runtime ends the guest. A native PID 1 needs a handler.
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
#endif
    const char *text = getenv("CPU_ROUNDS");
    int stay = 0;
    for (int index = 1; index < count; index++) {
        if (strcmp(arguments[index], "stay") == 0) {
            stay = 1;
        } else {
            text = arguments[index];
        }
    }
    char *end = NULL;
    unsigned long rounds = text == NULL ? 64 : strtoul(text, &end, 10);
    if (text != NULL && (*text < '0' || *text > '9' || *end != '\0')) {
        fprintf(stderr, "%s: is no number of rounds\n", text);
        return 2;
    }
    uint64_t begin = nanoseconds(CLOCK_MONOTONIC);
    uint64_t checksum = compute(rounds);
    uint64_t duration = nanoseconds(CLOCK_MONOTONIC) - begin;
    printf("duration_ns=%llu\n", (unsigned long long)duration);
    printf("checksum=%016llx\n", (unsigned long long)checksum);
    fflush(stdout);
    while (stay) {
        sleep(3600);
    }
    return 0;
}
