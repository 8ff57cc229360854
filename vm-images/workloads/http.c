// An HTTP server in C: answers every request with "ok", one connection after the other.
//
// One source, two programs: a WASI command and a static Linux program. WASI preview 1 can only
// accept connections; to open, bind and listen, the Wasm program imports WAMR's socket functions,
// declared in wamr_sockets.h. The port is $PORT, 8080 unless set. `start_ns` is printed when the
// server listens, so a probe that comes after it is answered.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __wasi__
#include "wamr_sockets.h"

static int listen_on(uint16_t port) {
    struct wamr_address any = {.family = WAMR_IPV4, .ip4 = {.port = port}};
    int32_t fd = -1;
    int error = wamr_sock_open(-1, WAMR_IPV4, WAMR_STREAM, &fd);
    if (error == 0) {
        error = wamr_sock_set_reuse_addr(fd, 1);
    }
    if (error == 0) {
        error = wamr_sock_bind(fd, &any);
    }
    if (error == 0) {
        error = wamr_sock_listen(fd, 64);
    }
    if (error != 0) {
        fprintf(stderr, "cannot listen on port %u: %s\n", port, strerror(error));
        return -1;
    }
    return fd;
}

static int next_connection(int listener) {
    int32_t fd = -1;
    int error = wamr_sock_accept(listener, 0, &fd);
    if (error != 0) {
        fprintf(stderr, "cannot accept a connection: %s\n", strerror(error));
        return -1;
    }
    // A client that says nothing must not keep the others waiting for long.
    (void)wamr_sock_set_recv_timeout(fd, 2000000);
    return fd;
}
#else
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

static void stop(int signal_number) {
    (void)signal_number;
    _exit(0);
}

static int listen_on(uint16_t port) {
    // A native PID 1 gets no signal that it has no handler for.
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof any) != 0 || listen(fd, 64) != 0) {
        perror("cannot listen");
        return -1;
    }
    return fd;
}

static int next_connection(int listener) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        perror("cannot accept a connection");
        return -1;
    }
    struct timeval patience = {.tv_sec = 2};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}
#endif

static const char ANSWER[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 3\r\n"
                             "Connection: close\r\n"
                             "\r\n"
                             "ok\n";

// Reads up to the empty line that ends the head of a request; longer heads are cut.
static int read_request(int fd) {
    static char head[4096];
    size_t used = 0;
    while (used < sizeof head - 1) {
        ssize_t count = read(fd, head + used, sizeof head - 1 - used);
        if (count <= 0) {
            return -1;
        }
        used += (size_t)count;
        head[used] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL) {
            return 0;
        }
    }
    return 0;
}

static void answer(int fd) {
    size_t written = 0;
    while (written < sizeof ANSWER - 1) {
        ssize_t count = write(fd, ANSWER + written, sizeof ANSWER - 1 - written);
        if (count <= 0) {
            return;
        }
        written += (size_t)count;
    }
}

int main(void) {
    const char *text = getenv("PORT");
    char *end = NULL;
    unsigned long port = text != NULL && *text != '\0' ? strtoul(text, &end, 10) : 8080;
    if ((end != NULL && *end != '\0') || port == 0 || port > 65535) {
        fprintf(stderr, "PORT = %s: is no port\n", text);
        return 2;
    }
    int listener = listen_on((uint16_t)port);
    if (listener < 0) {
        return 1;
    }
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return 1;
    }
    printf("start_ns=%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    fflush(stdout);
    for (;;) {
        int fd = next_connection(listener);
        if (fd < 0) {
            return 1;
        }
        if (read_request(fd) == 0) {
            answer(fd);
        }
        close(fd);
    }
}
