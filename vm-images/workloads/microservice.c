// The service under test in C: says when it started, then waits to be stopped.
//
// One source, two programs: a WASI command (the Wasm images) and a static Linux program (the
// native control). The clock is read before anything else happens, so `start_ns` is the moment
// at which the guest's own code began to run.

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#ifndef __wasi__
#include <signal.h>

static void stop(int signal_number) {
    (void)signal_number;
    _exit(0);
}
#endif

int main(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return 1;
    }
    printf("start_ns=%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    fflush(stdout);
#ifndef __wasi__
    // WASI has no signals: there the runtime ends the guest. A native PID 1 needs a handler.
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
#endif
    for (;;) {
        // In WASI this is one poll_oneoff: no CPU time until the hour is over.
        sleep(3600);
    }
}
