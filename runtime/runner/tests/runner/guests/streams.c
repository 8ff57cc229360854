// Standard streams that do not block. `read` tells what comes from standard input when it comes;
// `write` fills standard output and goes on when there is room; `errors` writes more to standard
// error than a pipe holds; `again` reads a file twice.

#include <stdint.h>
#include <wasi/api.h>

#include "checks.h"

#define WRITTEN (1 << 20)

static __wasi_event_t events[2];
static __wasi_size_t count;

static uint16_t flags_of(__wasi_fd_t fd) {
    __wasi_fdstat_t found;
    WORKS(__wasi_fd_fdstat_get(fd, &found));
    return found.fs_flags;
}

static void tell(__wasi_fd_t fd, const char *text) {
    __wasi_size_t written;
    __wasi_ciovec_t part = {(const uint8_t *)text, strlen(text)};
    WORKS(__wasi_fd_write(fd, &part, 1, &written));
}

// A line that says what standard input is.
static void tell_kind(const char *state) {
    char line[32];
    __wasi_fdstat_t found;
    WORKS(__wasi_fd_fdstat_get(0, &found));
    snprintf(line, sizeof line, "%s %d\n", state, found.fs_filetype);
    tell(1, line);
}

static __wasi_errno_t read_some(uint8_t *bytes, __wasi_size_t size) {
    __wasi_iovec_t part = {bytes, size};
    return __wasi_fd_read(0, &part, 1, &count);
}

// Waits for one descriptor.
static void wait_for(__wasi_fd_t fd, uint8_t tag) {
    __wasi_subscription_t one = {.userdata = 5};
    one.u.tag = tag;
    one.u.u.fd_read.file_descriptor = fd;
    WORKS(__wasi_poll_oneoff(&one, events, 1, &count));
    HOLDS(count == 1 && events[0].userdata == 5 && events[0].error == 0);
}

// Whether a descriptor is ready before a moment has gone.
static int is_ready(__wasi_fd_t fd, uint8_t tag) {
    __wasi_subscription_t two[2] = {{.userdata = 5}, {.userdata = 6}};
    two[0].u.tag = tag;
    two[0].u.u.fd_read.file_descriptor = fd;
    two[1].u.tag = __WASI_EVENTTYPE_CLOCK;
    two[1].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    two[1].u.u.clock.timeout = 1000000;
    WORKS(__wasi_poll_oneoff(two, events, 2, &count));
    return events[0].userdata == 5;
}

static void read_stream(void) {
    uint8_t bytes[64];
    HOLDS(flags_of(0) == 0);
    WORKS(__wasi_fd_fdstat_set_flags(0, __WASI_FDFLAGS_NONBLOCK));
    HOLDS(flags_of(0) == __WASI_FDFLAGS_NONBLOCK);
    int ready = is_ready(0, __WASI_EVENTTYPE_FD_READ);
    HOLDS(ready || read_some(bytes, sizeof bytes) == __WASI_ERRNO_AGAIN);
    tell_kind(ready ? "ready" : "waiting");
    do {
        wait_for(0, __WASI_EVENTTYPE_FD_READ);
        uint64_t readable = events[0].fd_readwrite.nbytes;
        WORKS(read_some(bytes, sizeof bytes - 1));
        HOLDS(count >= readable);
        bytes[count] = 0;
        tell(1, (char *)bytes);
    } while (count > 0);
    WORKS(__wasi_fd_fdstat_set_flags(0, 0));
    HOLDS(flags_of(0) == 0);
}

static void write_stream(void) {
    static uint8_t bytes[10000];
    WORKS(__wasi_fd_fdstat_set_flags(1, __WASI_FDFLAGS_NONBLOCK));
    __wasi_size_t total = 0;
    int was_full = 0;
    while (total < WRITTEN) {
        __wasi_ciovec_t parts[3] = {{bytes, 0}, {bytes, sizeof bytes}, {bytes, sizeof bytes}};
        __wasi_size_t left = WRITTEN - total;
        parts[1].buf_len = left < sizeof bytes ? left : sizeof bytes;
        parts[2].buf_len = 0;
        __wasi_errno_t error = __wasi_fd_write(1, parts, 3, &count);
        if (error == __WASI_ERRNO_AGAIN) {
            if (!was_full) {
                HOLDS(!is_ready(1, __WASI_EVENTTYPE_FD_WRITE));
                tell(2, "full\n");
                was_full = 1;
            }
            wait_for(1, __WASI_EVENTTYPE_FD_WRITE);
        } else {
            HOLDS(error == 0 && count > 0);
            total += count;
        }
    }
    HOLDS(was_full);
}

static void read_again(void) {
    uint8_t bytes[64];
    __wasi_filesize_t place;
    WORKS(read_some(bytes, sizeof bytes));
    __wasi_size_t first = count;
    WORKS(__wasi_fd_tell(0, &place));
    HOLDS(place == first);
    WORKS(__wasi_fd_seek(0, 0, __WASI_WHENCE_SET, &place));
    WORKS(read_some(bytes, sizeof bytes));
    HOLDS(count == first && count > 0);
}

static void write_errors(void) {
    static uint8_t bytes[1 << 18];
    WORKS(__wasi_fd_fdstat_set_flags(2, __WASI_FDFLAGS_NONBLOCK));
    HOLDS(flags_of(2) == __WASI_FDFLAGS_NONBLOCK);
    __wasi_ciovec_t part = {bytes, sizeof bytes};
    WORKS(__wasi_fd_write(2, &part, 1, &count));
    HOLDS(count == sizeof bytes);
}

static const struct check CHECKS[] = {
    {"read", read_stream},
    {"write", write_stream},
    {"errors", write_errors},
    {"again", read_again},
};

int main(int arguments_count, char **arguments) {
    return run_check(CHECKS, sizeof CHECKS / sizeof CHECKS[0], arguments_count, arguments);
}
