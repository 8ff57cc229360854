// Takes memory: touches every page of N MiB, says so, and waits to be stopped.
//
// N is the first argument, else $MEMORY_MIB, else 16. One source, two programs: a WASI command
// and a static Linux program.

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifndef __wasi__
#include <signal.h>

static void stop(int signal_number) {
    (void)signal_number;
    _exit(0);
}
#endif

#define MIB ((size_t)1 << 20)
// Touched one by one, so that each is backed by memory whatever the page size above this.
#define STEP ((size_t)4096)

// Mebibytes from 0 to 4095, which is what 32 bits can address; -1 for anything else.
static long parse(const char *text) {
    char *end = NULL;
    long count = strtol(text, &end, 10);
    return *text == '\0' || *end != '\0' || count < 0 || count > 4095 ? -1 : count;
}

int main(int count, char **arguments) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return 1;
    }
    printf("start_ns=%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    const char *text = count > 1 ? arguments[1] : getenv("MEMORY_MIB");
    long mebibytes = text == NULL ? 16 : parse(text);
    if (mebibytes < 0) {
        fprintf(stderr, "%s: is no number of MiB from 0 to 4095\n", text);
        return 2;
    }
#ifndef __wasi__
    // WASI has no signals: there the runtime ends the guest. A native PID 1 needs a handler.
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
#endif
    // MiB by MiB: what was touched before a limit was reached can be read from the output.
    for (long done = 0; done < mebibytes; done++) {
        volatile char *block = malloc(MIB);
        if (block == NULL) {
            fprintf(stderr, "no memory after %ld MiB\n", done);
            return 1;
        }
        for (size_t offset = 0; offset < MIB; offset += STEP) {
            block[offset] = 1;
        }
    }
    printf("touched_mib=%ld\n", mebibytes);
    fflush(stdout);
    for (;;) {
        sleep(3600);
    }
}
