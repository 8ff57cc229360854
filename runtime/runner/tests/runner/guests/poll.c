// What `poll_oneoff` of preview 1 allows, one combination for each check. Standard input is a pipe
// in which nothing is, and whose writing end stays open; an empty directory is descriptor 3.

#include <stdint.h>
#include <wasi/api.h>

#include "checks.h"

#define IDLE 0
#define ABSOLUTE __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME
#define HOUR_NS 3600000000000ull

static __wasi_event_t events[4];
static __wasi_size_t count;

static __wasi_subscription_t clock_of(uint64_t userdata, uint32_t id, uint64_t ns, uint16_t flags) {
    __wasi_subscription_t one = {.userdata = userdata};
    one.u.tag = __WASI_EVENTTYPE_CLOCK;
    one.u.u.clock.id = id;
    one.u.u.clock.timeout = ns;
    one.u.u.clock.flags = flags;
    return one;
}

static __wasi_subscription_t file_of(uint64_t userdata, uint8_t tag, __wasi_fd_t fd) {
    __wasi_subscription_t one = {.userdata = userdata};
    one.u.tag = tag;
    one.u.u.fd_read.file_descriptor = fd;
    return one;
}

static uint64_t now(uint32_t id) {
    __wasi_timestamp_t ns;
    WORKS(__wasi_clock_time_get(id, 1, &ns));
    return ns;
}

static __wasi_fd_t new_file(void) {
    __wasi_fd_t fd;
    __wasi_rights_t rights =
        __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_POLL_FD_READWRITE;
    WORKS(__wasi_path_open(3, 0, "f", __WASI_OFLAGS_CREAT, rights, 0, 0, &fd));
    return fd;
}

static int told(int index, uint64_t userdata, uint16_t error, uint8_t type) {
    __wasi_event_t *one = &events[index];
    return one->userdata == userdata && one->error == error && one->type == type;
}

static void nothing(void) {
    __wasi_subscription_t none;
    FAILS(__wasi_poll_oneoff(&none, events, 0, &count), __WASI_ERRNO_INVAL);
}

static void unknown_kind(void) {
    __wasi_subscription_t one = file_of(1, 3, IDLE);
    FAILS(__wasi_poll_oneoff(&one, events, 1, &count), __WASI_ERRNO_INVAL);
}

static void first_of_clocks(void) {
    __wasi_subscription_t three[] = {
        clock_of(1, __WASI_CLOCKID_MONOTONIC, HOUR_NS, 0),
        clock_of(2, __WASI_CLOCKID_MONOTONIC, 2000000, 0),
        clock_of(3, __WASI_CLOCKID_REALTIME, HOUR_NS, 0),
    };
    uint64_t before = now(__WASI_CLOCKID_MONOTONIC);
    WORKS(__wasi_poll_oneoff(three, events, 3, &count));
    HOLDS(now(__WASI_CLOCKID_MONOTONIC) - before >= 2000000);
    HOLDS(count == 1 && told(0, 2, 0, __WASI_EVENTTYPE_CLOCK));
}

static void all_due_clocks(void) {
    __wasi_subscription_t three[] = {
        clock_of(1, __WASI_CLOCKID_MONOTONIC, 0, 0),
        clock_of(2, __WASI_CLOCKID_MONOTONIC, HOUR_NS, 0),
        clock_of(3, __WASI_CLOCKID_REALTIME, 1, ABSOLUTE),
    };
    WORKS(__wasi_poll_oneoff(three, events, 3, &count));
    HOLDS(count == 2 && told(0, 1, 0, __WASI_EVENTTYPE_CLOCK));
    HOLDS(told(1, 3, 0, __WASI_EVENTTYPE_CLOCK));
}

static void absolute_beside_file(void) {
    uint32_t clocks[] = {__WASI_CLOCKID_MONOTONIC, __WASI_CLOCKID_REALTIME};
    for (int i = 0; i < 2; i++) {
        uint64_t until = now(clocks[i]) + 2000000;
        __wasi_subscription_t two[] = {
            file_of(1, __WASI_EVENTTYPE_FD_READ, IDLE),
            clock_of(2, clocks[i], until, ABSOLUTE),
        };
        WORKS(__wasi_poll_oneoff(two, events, 2, &count));
        HOLDS(count == 1 && told(0, 2, 0, __WASI_EVENTTYPE_CLOCK));
        HOLDS(now(clocks[i]) >= until);
    }
}

static void file_beside_absolute(void) {
    __wasi_subscription_t three[] = {
        clock_of(1, __WASI_CLOCKID_MONOTONIC, ~0ull, ABSOLUTE),
        file_of(2, __WASI_EVENTTYPE_FD_WRITE, new_file()),
        clock_of(3, __WASI_CLOCKID_REALTIME, HOUR_NS, 0),
    };
    WORKS(__wasi_poll_oneoff(three, events, 3, &count));
    HOLDS(count == 1 && told(0, 2, 0, __WASI_EVENTTYPE_FD_WRITE));
}

static void processor_clock(void) {
    __wasi_subscription_t two[] = {
        clock_of(1, __WASI_CLOCKID_PROCESS_CPUTIME_ID, 1, 0),
        clock_of(2, __WASI_CLOCKID_THREAD_CPUTIME_ID, HOUR_NS, 0),
    };
    WORKS(__wasi_poll_oneoff(two, events, 2, &count));
    HOLDS(count == 1 && told(0, 1, 0, __WASI_EVENTTYPE_CLOCK));
}

static void unknown_clock(void) {
    __wasi_subscription_t two[] = {
        clock_of(1, 9, 1, 0),
        file_of(2, __WASI_EVENTTYPE_FD_READ, IDLE),
    };
    WORKS(__wasi_poll_oneoff(two, events, 2, &count));
    HOLDS(count == 1 && told(0, 1, __WASI_ERRNO_INVAL, __WASI_EVENTTYPE_CLOCK));
}

static void closed_beside_ready(void) {
    __wasi_subscription_t three[] = {
        file_of(1, __WASI_EVENTTYPE_FD_READ, 99),
        file_of(2, __WASI_EVENTTYPE_FD_READ, IDLE),
        file_of(3, __WASI_EVENTTYPE_FD_WRITE, 1),
    };
    WORKS(__wasi_poll_oneoff(three, events, 3, &count));
    HOLDS(count == 2 && told(0, 1, __WASI_ERRNO_BADF, __WASI_EVENTTYPE_FD_READ));
    HOLDS(told(1, 3, 0, __WASI_EVENTTYPE_FD_WRITE));
}

static void without_the_right(void) {
    __wasi_fd_t fd = new_file();
    WORKS(__wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_READ, 0));
    __wasi_subscription_t one = file_of(1, __WASI_EVENTTYPE_FD_READ, fd);
    WORKS(__wasi_poll_oneoff(&one, events, 1, &count));
    HOLDS(count == 1 && told(0, 1, __WASI_ERRNO_NOTCAPABLE, __WASI_EVENTTYPE_FD_READ));
}

static void one_file_many_times(void) {
    __wasi_fd_t fd = new_file();
    __wasi_subscription_t four[] = {
        file_of(1, __WASI_EVENTTYPE_FD_READ, fd),
        file_of(2, __WASI_EVENTTYPE_FD_WRITE, fd),
        file_of(3, __WASI_EVENTTYPE_FD_READ, fd),
        clock_of(4, __WASI_CLOCKID_MONOTONIC, HOUR_NS, 0),
    };
    WORKS(__wasi_poll_oneoff(four, events, 4, &count));
    HOLDS(count == 3 && told(0, 1, 0, __WASI_EVENTTYPE_FD_READ));
    HOLDS(told(1, 2, 0, __WASI_EVENTTYPE_FD_WRITE) && told(2, 3, 0, __WASI_EVENTTYPE_FD_READ));
}

static void more_than_files_may_be_open(void) {
    static __wasi_subscription_t many[3000];
    static __wasi_event_t come[3000];
    for (int i = 0; i < 3000; i++) {
        many[i] = file_of(i, __WASI_EVENTTYPE_FD_WRITE, 1);
    }
    WORKS(__wasi_poll_oneoff(many, come, 3000, &count));
    HOLDS(count == 3000 && come[2999].userdata == 2999);
}

// Subscriptions and events in one place.
static void in_place(void) {
    union {
        __wasi_subscription_t in[3];
        __wasi_event_t out[3];
    } both = {{
        clock_of(1, __WASI_CLOCKID_MONOTONIC, 0, 0),
        clock_of(2, __WASI_CLOCKID_MONOTONIC, 0, 0),
        clock_of(3, __WASI_CLOCKID_MONOTONIC, 0, 0),
    }};
    WORKS(__wasi_poll_oneoff(both.in, both.out, 3, &count));
    HOLDS(count == 3 && both.out[0].userdata == 1 && both.out[2].userdata == 3);
}

static const struct check CHECKS[] = {
    {"nothing", nothing},
    {"unknown_kind", unknown_kind},
    {"first_of_clocks", first_of_clocks},
    {"all_due_clocks", all_due_clocks},
    {"absolute_beside_file", absolute_beside_file},
    {"file_beside_absolute", file_beside_absolute},
    {"processor_clock", processor_clock},
    {"unknown_clock", unknown_clock},
    {"closed_beside_ready", closed_beside_ready},
    {"without_the_right", without_the_right},
    {"one_file_many_times", one_file_many_times},
    {"more_than_files_may_be_open", more_than_files_may_be_open},
    {"in_place", in_place},
};

int main(int arguments_count, char **arguments) {
    return run_check(CHECKS, sizeof CHECKS / sizeof CHECKS[0], arguments_count, arguments);
}
