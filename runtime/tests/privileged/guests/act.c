// Does what its first argument says, with the others; the exit status is the errno of what failed.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *text, size_t left) {
    while (left > 0) {
        ssize_t count = write(fd, text, left);
        if (count < 0) {
            return errno;
        }
        text += count;
        left -= (size_t)count;
    }
    return 0;
}

static int show(const char *path) {
    char text[256];
    int fd = open(path, O_RDONLY);
    ssize_t count = fd < 0 ? -1 : read(fd, text, sizeof text);
    return count < 0 ? errno : write_all(1, text, (size_t)count);
}

static int store(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    return fd < 0 ? errno : write_all(fd, text, strlen(text));
}

// More than a pipe holds.
static int flood(int fd) {
    static char block[1 << 20];
    return write_all(fd, block, sizeof block);
}

int main(int count, char **arguments) {
    const char *act = count > 1 ? arguments[1] : "";
    const char *first = count > 2 ? arguments[2] : "";
    if (strcmp(act, "show") == 0) {
        return show(first);
    }
    if (strcmp(act, "store") == 0) {
        return store(first, count > 3 ? arguments[3] : "");
    }
    if (strcmp(act, "mkdir") == 0) {
        return mkdir(first, 0755) == 0 ? 0 : errno;
    }
    if (strcmp(act, "env") == 0) {
        const char *value = getenv(first);
        return value == NULL ? 1 : write_all(1, value, strlen(value));
    }
    if (strcmp(act, "say") == 0) {
        int error = write_all(atoi(first), "said", 4);
        return error != 0 ? error : write_all(2, "", 0);
    }
    if (strcmp(act, "read") == 0) {
        char byte;
        return read(0, &byte, 1) == 0 ? 0 : errno;
    }
    int error = write_all(1, "ready\n", 6);
    if (strcmp(act, "flood") == 0) {
        error = flood(1);
    }
    while (strcmp(act, "spin") == 0) {
    }
    while (strcmp(act, "sleep") == 0) {
        sleep(3600);
    }
    return error;
}
