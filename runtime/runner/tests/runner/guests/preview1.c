// One check for each function of WASI preview 1, by its name: `preview1 NAME` exits with 0 if the
// function does what its specification says, else it says what did not hold. An empty directory
// is preopened as descriptor 3.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#include "checks.h"

#define ROOT 3
#define ALL (~(__wasi_rights_t)0)

// A new file with `text` in it, open for reading and writing.
static __wasi_fd_t file_with(const char *name, const char *text) {
    __wasi_fd_t fd;
    __wasi_size_t count;
    __wasi_ciovec_t part = {(const uint8_t *)text, strlen(text)};
    // Neither preopened nor opened descriptors have every right; what is asked for is what this
    // directory can hand on.
    __wasi_fdstat_t root;
    WORKS(__wasi_fd_fdstat_get(ROOT, &root));
    WORKS(__wasi_path_open(ROOT, 0, name, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC,
                           root.fs_rights_inheriting, 0, 0, &fd));
    WORKS(__wasi_fd_write(fd, &part, 1, &count));
    HOLDS(count == strlen(text));
    return fd;
}

static int exists(const char *name) {
    __wasi_filestat_t found;
    return __wasi_path_filestat_get(ROOT, 0, name, &found) == 0;
}

static void expect_content(__wasi_fd_t fd, const char *want) {
    uint8_t bytes[64];
    __wasi_size_t count;
    __wasi_iovec_t part = {bytes, sizeof bytes};
    WORKS(__wasi_fd_pread(fd, &part, 1, 0, &count));
    HOLDS(count == strlen(want) && memcmp(bytes, want, count) == 0);
}

static void args_get(void) {
    __wasi_size_t count, bytes;
    WORKS(__wasi_args_sizes_get(&count, &bytes));
    HOLDS(count == 2 && bytes > 10 && bytes < 64);
    uint8_t *arguments[2];
    uint8_t text[64];
    WORKS(__wasi_args_get(arguments, text));
    HOLDS(strncmp((char *)arguments[1], "args_", 5) == 0);
}

static void environ_get(void) {
    __wasi_size_t count, bytes;
    WORKS(__wasi_environ_sizes_get(&count, &bytes));
    HOLDS(count == 2 && bytes < 64);
    uint8_t *entries[2];
    uint8_t text[64];
    WORKS(__wasi_environ_get(entries, text));
    HOLDS(strcmp((char *)entries[0], "NAME=value") == 0);
}

static void clock_res_get(void) {
    __wasi_timestamp_t ns = 0;
    WORKS(__wasi_clock_res_get(__WASI_CLOCKID_REALTIME, &ns));
    HOLDS(ns > 0);
    WORKS(__wasi_clock_res_get(__WASI_CLOCKID_MONOTONIC, &ns));
    FAILS(__wasi_clock_res_get(99, &ns), __WASI_ERRNO_INVAL);
}

static void clock_time_get(void) {
    __wasi_timestamp_t first, second;
    for (int clock = 0; clock < 4; clock++) {
        WORKS(__wasi_clock_time_get(clock, 1, &first));
        WORKS(__wasi_clock_time_get(clock, 1, &second));
        HOLDS(second >= first);
    }
    WORKS(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &first));
    HOLDS(first > 1700000000000000000);
}

static void fd_advise(void) {
    __wasi_fd_t fd = file_with("f", "text");
    WORKS(__wasi_fd_advise(fd, 0, 4, __WASI_ADVICE_SEQUENTIAL));
    FAILS(__wasi_fd_advise(99, 0, 4, __WASI_ADVICE_NORMAL), __WASI_ERRNO_BADF);
}

static void fd_allocate(void) {
    __wasi_fd_t fd = file_with("f", "text");
    WORKS(__wasi_fd_allocate(fd, 0, 4096));
    __wasi_filestat_t found;
    WORKS(__wasi_fd_filestat_get(fd, &found));
    HOLDS(found.size == 4096);
}

static void fd_close(void) {
    __wasi_fd_t fd = file_with("f", "text");
    WORKS(__wasi_fd_close(fd));
    FAILS(__wasi_fd_close(fd), __WASI_ERRNO_BADF);
}

static void fd_sync(void) {
    __wasi_fd_t fd = file_with("f", "text");
    WORKS(__wasi_fd_sync(fd));
    WORKS(__wasi_fd_datasync(fd));
}

static void fd_fdstat_get(void) {
    __wasi_fdstat_t found;
    WORKS(__wasi_fd_fdstat_get(ROOT, &found));
    HOLDS(found.fs_filetype == __WASI_FILETYPE_DIRECTORY);
    WORKS(__wasi_fd_fdstat_get(file_with("f", "text"), &found));
    HOLDS(found.fs_filetype == __WASI_FILETYPE_REGULAR_FILE);
}

static void fd_fdstat_set_flags(void) {
    __wasi_fd_t fd = file_with("f", "text");
    WORKS(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
    __wasi_filesize_t place;
    WORKS(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &place));
    __wasi_size_t count;
    __wasi_ciovec_t part = {(const uint8_t *)"more", 4};
    WORKS(__wasi_fd_write(fd, &part, 1, &count));
    WORKS(__wasi_fd_fdstat_set_flags(fd, 0));
    expect_content(fd, "textmore");
}

static void fd_fdstat_set_rights(void) {
    __wasi_fd_t fd = file_with("f", "text");
    WORKS(__wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_READ, 0));
    __wasi_size_t count;
    __wasi_ciovec_t part = {(const uint8_t *)"x", 1};
    FAILS(__wasi_fd_write(fd, &part, 1, &count), __WASI_ERRNO_NOTCAPABLE);
    FAILS(__wasi_fd_fdstat_set_rights(fd, ALL, 0), __WASI_ERRNO_NOTCAPABLE);
}

static void fd_filestat_get(void) {
    __wasi_filestat_t found;
    WORKS(__wasi_fd_filestat_get(file_with("f", "text"), &found));
    HOLDS(found.size == 4 && found.nlink == 1);
    HOLDS(found.filetype == __WASI_FILETYPE_REGULAR_FILE);
}

static void fd_filestat_set_size(void) {
    __wasi_fd_t fd = file_with("f", "text");
    WORKS(__wasi_fd_filestat_set_size(fd, 2));
    expect_content(fd, "te");
}

static void fd_filestat_set_times(void) {
    __wasi_fd_t fd = file_with("f", "text");
    WORKS(__wasi_fd_filestat_set_times(fd, 1000000000, 2000000000,
                                       __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
    __wasi_filestat_t found;
    WORKS(__wasi_fd_filestat_get(fd, &found));
    HOLDS(found.atim == 1000000000 && found.mtim == 2000000000);
}

static void path_filestat_set_times(void) {
    __wasi_fd_t fd = file_with("f", "text");
    WORKS(__wasi_path_filestat_set_times(ROOT, 0, "f", 0, 3000000000, __WASI_FSTFLAGS_MTIM));
    __wasi_filestat_t found;
    WORKS(__wasi_fd_filestat_get(fd, &found));
    HOLDS(found.mtim == 3000000000);
}

static void fd_pread(void) {
    __wasi_fd_t fd = file_with("f", "0123456789");
    uint8_t bytes[8] = {0};
    __wasi_iovec_t parts[2] = {{bytes, 2}, {bytes + 2, 3}};
    __wasi_size_t count;
    WORKS(__wasi_fd_pread(fd, parts, 2, 4, &count));
    HOLDS(count == 5 && memcmp(bytes, "45678", 5) == 0);
}

static void fd_pwrite(void) {
    __wasi_fd_t fd = file_with("f", "0123456789");
    __wasi_ciovec_t parts[2] = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"bc", 2}};
    __wasi_size_t count;
    WORKS(__wasi_fd_pwrite(fd, parts, 2, 4, &count));
    HOLDS(count == 3);
    expect_content(fd, "0123abc789");
}

static void fd_prestat_get(void) {
    __wasi_prestat_t found;
    WORKS(__wasi_fd_prestat_get(ROOT, &found));
    HOLDS(found.tag == __WASI_PREOPENTYPE_DIR && found.u.dir.pr_name_len == 1);
    uint8_t name;
    WORKS(__wasi_fd_prestat_dir_name(ROOT, &name, 1));
    HOLDS(name == '/');
    FAILS(__wasi_fd_prestat_get(ROOT + 1, &found), __WASI_ERRNO_BADF);
}

static void fd_read(void) {
    __wasi_fd_t fd = file_with("f", "0123456789");
    __wasi_filesize_t place;
    WORKS(__wasi_fd_seek(fd, 3, __WASI_WHENCE_SET, &place));
    uint8_t bytes[4];
    __wasi_iovec_t part = {bytes, 4};
    __wasi_size_t count;
    WORKS(__wasi_fd_read(fd, &part, 1, &count));
    HOLDS(count == 4 && memcmp(bytes, "3456", 4) == 0);
}

static void fd_readdir(void) {
    // More entries than one buffer takes, so that the cookie is used.
    char name[16];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "entry-%02d", i);
        WORKS(__wasi_fd_close(file_with(name, "x")));
    }
    uint8_t buffer[200];
    __wasi_dircookie_t cookie = 0;
    __wasi_size_t used = 0;
    int seen = 0;
    for (int round = 0; round < 50; round++) {
        WORKS(__wasi_fd_readdir(ROOT, buffer, sizeof buffer, cookie, &used));
        __wasi_size_t at = 0;
        while (at + sizeof(__wasi_dirent_t) <= used) {
            __wasi_dirent_t entry;
            memcpy(&entry, buffer + at, sizeof entry);
            if (at + sizeof entry + entry.d_namlen > used) {
                break;
            }
            seen += memcmp(buffer + at + sizeof entry, "entry-", 6) == 0;
            at += sizeof entry + entry.d_namlen;
            cookie = entry.d_next;
        }
        if (used < sizeof buffer) {
            break;
        }
    }
    HOLDS(seen == 20);
}

static void fd_renumber(void) {
    __wasi_fd_t one = file_with("one", "first");
    __wasi_fd_t two = file_with("two", "second");
    WORKS(__wasi_fd_renumber(one, two));
    expect_content(two, "first");
    __wasi_fdstat_t found;
    FAILS(__wasi_fd_fdstat_get(one, &found), __WASI_ERRNO_BADF);
}

static void fd_seek(void) {
    __wasi_fd_t fd = file_with("f", "0123456789");
    __wasi_filesize_t place;
    WORKS(__wasi_fd_seek(fd, -2, __WASI_WHENCE_END, &place));
    HOLDS(place == 8);
    WORKS(__wasi_fd_seek(fd, -3, __WASI_WHENCE_CUR, &place));
    HOLDS(place == 5);
    WORKS(__wasi_fd_tell(fd, &place));
    HOLDS(place == 5);
    FAILS(__wasi_fd_seek(fd, -1, __WASI_WHENCE_SET, &place), __WASI_ERRNO_INVAL);
}

static void fd_write(void) {
    __wasi_ciovec_t parts[2] = {{(const uint8_t *)"ou", 2}, {(const uint8_t *)"t\n", 2}};
    __wasi_size_t count;
    WORKS(__wasi_fd_write(1, parts, 2, &count));
    HOLDS(count == 4);
    FAILS(__wasi_fd_write(99, parts, 2, &count), __WASI_ERRNO_BADF);
}

static void path_create_directory(void) {
    WORKS(__wasi_path_create_directory(ROOT, "d"));
    FAILS(__wasi_path_create_directory(ROOT, "d"), __WASI_ERRNO_EXIST);
    WORKS(__wasi_fd_close(file_with("d/f", "x")));
    FAILS(__wasi_path_remove_directory(ROOT, "d"), __WASI_ERRNO_NOTEMPTY);
    WORKS(__wasi_path_unlink_file(ROOT, "d/f"));
    WORKS(__wasi_path_remove_directory(ROOT, "d"));
    HOLDS(!exists("d"));
}

static void path_filestat_get(void) {
    WORKS(__wasi_fd_close(file_with("f", "text")));
    WORKS(__wasi_path_symlink("f", ROOT, "link"));
    __wasi_filestat_t found;
    WORKS(__wasi_path_filestat_get(ROOT, 0, "link", &found));
    HOLDS(found.filetype == __WASI_FILETYPE_SYMBOLIC_LINK);
    WORKS(__wasi_path_filestat_get(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "link", &found));
    HOLDS(found.filetype == __WASI_FILETYPE_REGULAR_FILE && found.size == 4);
    FAILS(__wasi_path_filestat_get(ROOT, 0, "none", &found), __WASI_ERRNO_NOENT);
    FAILS(__wasi_path_filestat_get(ROOT, 0, "../x", &found), __WASI_ERRNO_NOTCAPABLE);
    FAILS(__wasi_path_filestat_get(ROOT, 0, "/f", &found), __WASI_ERRNO_NOTCAPABLE);
}

static void path_link(void) {
    __wasi_fd_t fd = file_with("f", "text");
    WORKS(__wasi_path_link(ROOT, 0, "f", ROOT, "hard"));
    __wasi_filestat_t found;
    WORKS(__wasi_fd_filestat_get(fd, &found));
    HOLDS(found.nlink == 2);
    FAILS(__wasi_path_link(ROOT, 0, "f", ROOT, "new/"), __WASI_ERRNO_NOENT);
}

static void path_open(void) {
    __wasi_fd_t fd;
    WORKS(__wasi_fd_close(file_with("f", "text")));
    FAILS(__wasi_path_open(ROOT, 0, "f", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL,
                           __WASI_RIGHTS_FD_READ, 0, 0, &fd),
          __WASI_ERRNO_EXIST);
    FAILS(__wasi_path_open(ROOT, 0, "f", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR, 0, 0,
                           &fd),
          __WASI_ERRNO_NOTDIR);
    FAILS(__wasi_path_open(ROOT, 0, ".", __WASI_OFLAGS_DIRECTORY,
                           __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE, 0, 0, &fd),
          __WASI_ERRNO_ISDIR);
    FAILS(__wasi_path_open(ROOT, 0, "none", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd),
          __WASI_ERRNO_NOENT);
    WORKS(__wasi_path_symlink("f", ROOT, "link"));
    FAILS(__wasi_path_open(ROOT, 0, "link", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd),
          __WASI_ERRNO_LOOP);
    WORKS(__wasi_path_open(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "link", 0,
                           __WASI_RIGHTS_FD_READ, 0, 0, &fd));
    expect_content(fd, "text");
}

static void path_readlink(void) {
    WORKS(__wasi_path_symlink("target", ROOT, "link"));
    uint8_t text[16];
    __wasi_size_t count;
    WORKS(__wasi_path_readlink(ROOT, "link", text, sizeof text, &count));
    HOLDS(count == 6 && memcmp(text, "target", 6) == 0);
    WORKS(__wasi_path_readlink(ROOT, "link", text, 3, &count));
    HOLDS(count == 3);
}

static void path_rename(void) {
    WORKS(__wasi_fd_close(file_with("old", "text")));
    WORKS(__wasi_fd_close(file_with("there", "gone")));
    WORKS(__wasi_path_rename(ROOT, "old", ROOT, "there"));
    HOLDS(!exists("old"));
    __wasi_fd_t fd;
    WORKS(__wasi_path_open(ROOT, 0, "there", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd));
    expect_content(fd, "text");
}

static void path_symlink(void) {
    WORKS(__wasi_path_symlink("target", ROOT, "link"));
    HOLDS(exists("link"));
    FAILS(__wasi_path_symlink("target", ROOT, "link"), __WASI_ERRNO_EXIST);
    FAILS(__wasi_path_symlink("target", ROOT, "new/"), __WASI_ERRNO_NOENT);
    FAILS(__wasi_path_symlink("/link", ROOT, "absolute"), __WASI_ERRNO_PERM);
    FAILS(__wasi_path_symlink("/link", 99, "absolute"), __WASI_ERRNO_BADF);
    HOLDS(!exists("absolute"));
}

static void path_unlink_file(void) {
    WORKS(__wasi_fd_close(file_with("f", "text")));
    WORKS(__wasi_path_unlink_file(ROOT, "f"));
    HOLDS(!exists("f"));
    FAILS(__wasi_path_unlink_file(ROOT, "f"), __WASI_ERRNO_NOENT);
    WORKS(__wasi_fd_close(file_with("f", "text")));
    FAILS(__wasi_path_unlink_file(ROOT, "f/"), __WASI_ERRNO_NOTDIR);
    WORKS(__wasi_path_create_directory(ROOT, "d"));
    FAILS(__wasi_path_unlink_file(ROOT, "d/"), __WASI_ERRNO_ISDIR);
}

static __wasi_subscription_t clock_subscription(uint64_t ns, uint16_t flags) {
    __wasi_subscription_t one = {.userdata = 7};
    one.u.tag = __WASI_EVENTTYPE_CLOCK;
    one.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    one.u.u.clock.timeout = ns;
    one.u.u.clock.flags = flags;
    return one;
}

static void poll_oneoff(void) {
    __wasi_event_t events[2];
    __wasi_size_t count;
    __wasi_timestamp_t before, after;
    // Relative, then absolute.
    WORKS(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &before));
    __wasi_subscription_t one = clock_subscription(2000000, 0);
    WORKS(__wasi_poll_oneoff(&one, events, 1, &count));
    WORKS(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &after));
    HOLDS(count == 1 && events[0].userdata == 7 && after - before >= 2000000);
    one = clock_subscription(after + 2000000, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME);
    WORKS(__wasi_poll_oneoff(&one, events, 1, &count));
    WORKS(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &before));
    HOLDS(count == 1 && before >= after + 2000000);
    // A file is ready before an hour has gone.
    __wasi_subscription_t two[2] = {clock_subscription(3600000000000, 0)};
    two[1].userdata = 8;
    two[1].u.tag = __WASI_EVENTTYPE_FD_READ;
    two[1].u.u.fd_read.file_descriptor = file_with("f", "text");
    WORKS(__wasi_poll_oneoff(two, events, 2, &count));
    HOLDS(count == 1 && events[0].userdata == 8 && events[0].error == 0);
}

// Sleeping as libc does: the real-time clock, until a moment.
static void poll_oneoff_realtime(void) {
    __wasi_event_t event;
    __wasi_size_t count;
    __wasi_subscription_t one = clock_subscription(2000000, 0);
    one.u.u.clock.id = __WASI_CLOCKID_REALTIME;
    WORKS(__wasi_poll_oneoff(&one, &event, 1, &count));
    HOLDS(count == 1 && event.error == 0);
}

// wasi-libc no longer declares it.
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_raise")))
int32_t raise_signal(int32_t number);

static void proc_raise(void) { HOLDS(raise_signal(15) == 0); }

static void random_get(void) {
    uint8_t one[64] = {0}, two[64] = {0};
    WORKS(__wasi_random_get(one, sizeof one));
    WORKS(__wasi_random_get(two, sizeof two));
    HOLDS(memcmp(one, two, sizeof one) != 0);
}

static void sched_yield(void) { WORKS(__wasi_sched_yield()); }

// Preview 1 can use sockets that it was given, and it is given none.
static void sock(void) {
    __wasi_fd_t fd;
    __wasi_size_t count;
    __wasi_roflags_t flags;
    uint8_t byte = 0;
    __wasi_iovec_t in = {&byte, 1};
    __wasi_ciovec_t out = {&byte, 1};
    FAILS(__wasi_sock_accept(99, 0, &fd), __WASI_ERRNO_BADF);
    FAILS(__wasi_sock_recv(99, &in, 1, 0, &count, &flags), __WASI_ERRNO_BADF);
    FAILS(__wasi_sock_send(99, &out, 1, 0, &count), __WASI_ERRNO_BADF);
    FAILS(__wasi_sock_shutdown(99, __WASI_SDFLAGS_RD), __WASI_ERRNO_BADF);
}

static const struct check CHECKS[] = {
    {"args_get", args_get},
    {"args_sizes_get", args_get},
    {"environ_get", environ_get},
    {"environ_sizes_get", environ_get},
    {"clock_res_get", clock_res_get},
    {"clock_time_get", clock_time_get},
    {"fd_advise", fd_advise},
    {"fd_allocate", fd_allocate},
    {"fd_close", fd_close},
    {"fd_datasync", fd_sync},
    {"fd_fdstat_get", fd_fdstat_get},
    {"fd_fdstat_set_flags", fd_fdstat_set_flags},
    {"fd_fdstat_set_rights", fd_fdstat_set_rights},
    {"fd_filestat_get", fd_filestat_get},
    {"fd_filestat_set_size", fd_filestat_set_size},
    {"fd_filestat_set_times", fd_filestat_set_times},
    {"fd_pread", fd_pread},
    {"fd_prestat_dir_name", fd_prestat_get},
    {"fd_prestat_get", fd_prestat_get},
    {"fd_pwrite", fd_pwrite},
    {"fd_read", fd_read},
    {"fd_readdir", fd_readdir},
    {"fd_renumber", fd_renumber},
    {"fd_seek", fd_seek},
    {"fd_sync", fd_sync},
    {"fd_tell", fd_seek},
    {"fd_write", fd_write},
    {"path_create_directory", path_create_directory},
    {"path_filestat_get", path_filestat_get},
    {"path_filestat_set_times", path_filestat_set_times},
    {"path_link", path_link},
    {"path_open", path_open},
    {"path_readlink", path_readlink},
    {"path_remove_directory", path_create_directory},
    {"path_rename", path_rename},
    {"path_symlink", path_symlink},
    {"path_unlink_file", path_unlink_file},
    {"poll_oneoff", poll_oneoff},
    {"poll_oneoff_realtime", poll_oneoff_realtime},
    {"proc_raise", proc_raise},
    {"random_get", random_get},
    {"sched_yield", sched_yield},
    {"sock_accept", sock},
    {"sock_recv", sock},
    {"sock_send", sock},
    {"sock_shutdown", sock},
};

int main(int count, char **arguments) {
    return run_check(CHECKS, sizeof CHECKS / sizeof CHECKS[0], count, arguments);
}
