// SQLite on SQL from standard input: rows on standard output, columns with bars between.

#include <stdio.h>
#include <stdlib.h>

#include "sqlite3-binding.h"

static int print_row(void *unused, int columns, char **values, char **names) {
    (void)unused;
    (void)names;
    for (int at = 0; at < columns; at++) {
        printf("%s%s", at ? "|" : "", values[at] ? values[at] : "NULL");
    }
    putchar('\n');
    return 0;
}

int main(void) {
    static char sql[1 << 16];
    size_t length = fread(sql, 1, sizeof sql - 1, stdin);
    sql[length] = '\0';
    sqlite3 *database;
    char *error = NULL;
    if (sqlite3_open(":memory:", &database) != SQLITE_OK ||
        sqlite3_exec(database, sql, print_row, NULL, &error) != SQLITE_OK) {
        fprintf(stderr, "%s\n", error ? error : sqlite3_errmsg(database));
        return EXIT_FAILURE;
    }
    printf("SQLite %s\n", sqlite3_libversion());
    return sqlite3_close(database) == SQLITE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
