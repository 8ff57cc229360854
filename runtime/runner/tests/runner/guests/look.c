// Tries to open, to look at and to read as a link each path that it is given, and prints the three
// errors.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(int status) { return status < 0 ? errno : 0; }

int main(int count, char **paths) {
    for (int i = 1; i < count; i++) {
        struct stat found;
        char text[64];
        int opened = failed(open(paths[i], O_RDONLY));
        int looked = failed(stat(paths[i], &found));
        int read = failed((int)readlink(paths[i], text, sizeof text));
        printf("%s %d %d %d\n", paths[i], opened, looked, read);
    }
    return 0;
}
