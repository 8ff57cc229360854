// SQLite on a database in memory: so many rows come in, are indexed, joined, changed and deleted.

#include "kernel.h"
#include "sqlite3.h"

static void fail(sqlite3 *database, const char *sql) {
    fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(database));
    exit(1);
}

static void run(sqlite3 *database, const char *sql) {
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail(database, sql);
    }
}

// The one number that a query gives.
static uint64_t number(sqlite3 *database, const char *sql) {
    sqlite3_stmt *query;
    if (sqlite3_prepare_v2(database, sql, -1, &query, NULL) != SQLITE_OK ||
        sqlite3_step(query) != SQLITE_ROW) {
        fail(database, sql);
    }
    uint64_t found = (uint64_t)sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    return found;
}

static void insert(sqlite3 *database, unsigned long rows) {
    const char *sql = "insert into reading(sensor, value, note) values (?, ?, ?)";
    sqlite3_stmt *row;
    if (sqlite3_prepare_v2(database, sql, -1, &row, NULL) != SQLITE_OK) {
        fail(database, sql);
    }
    uint64_t random = 88172645463325252U;
    for (unsigned long i = 0; i < rows; i++) {
        random = next(random);
        char note[32];
        int length = snprintf(note, sizeof note, "note %llu", (unsigned long long)random % 10007);
        sqlite3_bind_int64(row, 1, (sqlite3_int64)(random % 50));
        sqlite3_bind_int64(row, 2, (sqlite3_int64)(random >> 40));
        sqlite3_bind_text(row, 3, note, length, SQLITE_TRANSIENT);
        if (sqlite3_step(row) != SQLITE_DONE) {
            fail(database, sql);
        }
        sqlite3_reset(row);
    }
    sqlite3_finalize(row);
}

static uint64_t work(unsigned long rows) {
    sqlite3 *database;
    if (sqlite3_open(":memory:", &database) != SQLITE_OK) {
        fail(database, "open");
    }
    run(database, "create table sensor(id integer primary key, name text);"
                  "create table reading(id integer primary key, sensor int, value int, note text);"
                  "with recursive n(i) as (select 0 union all select i + 1 from n where i < 49)"
                  " insert into sensor select i, 'sensor ' || i from n;");
    run(database, "begin");
    insert(database, rows);
    run(database, "commit; create index by_note on reading(note);");
    uint64_t checksum = number(database,
                               "select sum(value * length(name)) from reading join sensor"
                               " on sensor.id = reading.sensor where note like '%7%'");
    run(database, "update reading set value = value + 1 where note < 'note 5';"
                  "delete from reading where sensor % 7 = 3;");
    checksum ^= number(database, "select sum(value) * 31 + count(distinct note) from reading");
    sqlite3_close(database);
    return checksum;
}
