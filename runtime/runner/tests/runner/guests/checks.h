// Checks by their names: `guest NAME` exits with 0 if the check holds, else it says what does not.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The checks end at the first thing that does not hold.
#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("line %d: does not hold: %s\n", __LINE__, #condition);                          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define WORKS(call)                                                                                \
    do {                                                                                           \
        __wasi_errno_t got = (call);                                                               \
        if (got != 0) {                                                                            \
            printf("line %d: error %d of %s\n", __LINE__, got, #call);                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define FAILS(call, error) HOLDS((call) == (error))

struct check {
    const char *name;
    void (*check)(void);
};

static int run_check(const struct check *checks, size_t known, int count, char **arguments) {
    for (size_t i = 0; count == 2 && i < known; i++) {
        if (strcmp(checks[i].name, arguments[1]) == 0) {
            checks[i].check();
            return 0;
        }
    }
    printf("no such check\n");
    return 2;
}
