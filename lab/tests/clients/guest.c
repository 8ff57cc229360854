// What the containers of the tests run, native and as WebAssembly alike: the first argument says
// what it does.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef __wasi__
#include <signal.h>

static void stop(int signal_number) {
    (void)signal_number;
    _exit(128 + 15);
}
#endif

// Says that it is there, and waits to be stopped.
static int serve(void) {
#ifndef __wasi__
    signal(SIGTERM, stop);
#endif
    puts("ready");
    fflush(stdout);
    for (;;) {
        sleep(3600);
    }
}

// Repeats its input line by line.
static int repeat(void) {
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        printf("%s, got %s", isatty(0) ? "terminal" : "pipe", line);
        fflush(stdout);
        if (!strncmp(line, "end", 3)) {
            return 9;
        }
    }
    return 0;
}

// Prints a file.
static int show(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return 4;
    }
    char line[256];
    while (fgets(line, sizeof line, file)) {
        fputs(line, stdout);
    }
    return 0;
}

// Takes memory until somebody minds.
static int grow(void) {
    for (;;) {
        volatile char *block = malloc(1 << 20);
        if (!block) {
            return 3;
        }
        // A byte per page is enough, and an interpreter is done with it at once.
        for (int offset = 0; offset < 1 << 20; offset += 4096) {
            block[offset] = 1;
        }
    }
}

int main(int count, char **words) {
    const char *act = count > 1 ? words[1] : "";
    if (!strcmp(act, "serve")) {
        return serve();
    }
    if (!strcmp(act, "repeat")) {
        return repeat();
    }
    if (!strcmp(act, "grow")) {
        return grow();
    }
    if (!strcmp(act, "show") && count > 2) {
        return show(words[2]);
    }
    if (!strcmp(act, "exit") && count > 2) {
        const char *said = getenv("SAID");
        printf("hello %s\n", said ? said : "nobody");
        fprintf(stderr, "leaving\n");
        return atoi(words[2]);
    }
    fprintf(stderr, "no such act: %s\n", act);
    return 2;
}
