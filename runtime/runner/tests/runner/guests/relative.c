// Does what its arguments say and prints a line for each: `act path`, or `act path other`.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *show(const char *path) {
    static char text[64];
    int fd = open(path, O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length < 0) {
        return strerror(errno);
    }
    text[length] = 0;
    close(fd);
    return text;
}

static int store(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    return fd < 0 || write(fd, "stored", 6) != 6 || close(fd) != 0 ? -1 : 0;
}

static const char *list(const char *path) {
    static char names[256];
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return strerror(errno);
    }
    int found = 0;
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        found += strcmp(entry->d_name, "input") == 0;
    }
    closedir(directory);
    snprintf(names, sizeof names, "%s", found ? "input" : "no input");
    return names;
}

static const char *done(int status) { return status == 0 ? "done" : strerror(errno); }

int main(int count, char **words) {
    struct stat found;
    for (int i = 1; i + 2 < count; i += 3) {
        const char *act = words[i], *path = words[i + 1], *other = words[i + 2];
        const char *result = "no such act";
        if (strcmp(act, "show") == 0) {
            result = show(path);
        } else if (strcmp(act, "store") == 0) {
            result = done(store(path));
        } else if (strcmp(act, "list") == 0) {
            result = list(path);
        } else if (strcmp(act, "stat") == 0) {
            result = done(stat(path, &found));
        } else if (strcmp(act, "mkdir") == 0) {
            result = done(mkdir(path, 0755));
        } else if (strcmp(act, "rmdir") == 0) {
            result = done(rmdir(path));
        } else if (strcmp(act, "unlink") == 0) {
            result = done(unlink(path));
        } else if (strcmp(act, "rename") == 0) {
            result = done(rename(path, other));
        } else if (strcmp(act, "link") == 0) {
            result = done(link(path, other));
        } else if (strcmp(act, "symlink") == 0) {
            result = done(symlink(path, other));
        } else if (strcmp(act, "times") == 0) {
            result = done(utimensat(AT_FDCWD, path, NULL, 0));
        }
        printf("%s\n", result);
    }
    return 0;
}
