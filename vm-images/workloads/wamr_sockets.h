// The functions that WAMR adds to WASI preview 1 for sockets, as far as a server needs them.
//
// They are imported by name; a module that imports them runs on engines with this extension only.
// Each returns 0 or a WASI error number, which wasi-libc shares with errno. The host order of
// bytes holds for ports, and addresses stand in the order in which they are written.

#ifndef WAMR_SOCKETS_H
#define WAMR_SOCKETS_H

#include <stdint.h>

#define WAMR_IPV4 0
#define WAMR_STREAM 1

// An address with a port; `family` says which of the two holds.
struct wamr_address {
    uint32_t family;
    union {
        struct {
            uint8_t bytes[4];
            uint16_t port;
        } ip4;
        struct {
            uint16_t groups[8];
            uint16_t port;
        } ip6;
    };
};

#define WAMR_IMPORT(name)                                                                          \
    __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

// `pool` is not used: which addresses are open is decided by who starts the guest.
WAMR_IMPORT(sock_open)
int32_t wamr_sock_open(int32_t pool, int32_t family, int32_t type, int32_t *fd);
WAMR_IMPORT(sock_bind)
int32_t wamr_sock_bind(int32_t fd, const struct wamr_address *address);
WAMR_IMPORT(sock_listen)
int32_t wamr_sock_listen(int32_t fd, int32_t backlog);
WAMR_IMPORT(sock_accept)
int32_t wamr_sock_accept(int32_t fd, int32_t flags, int32_t *connection);
WAMR_IMPORT(sock_set_reuse_addr)
int32_t wamr_sock_set_reuse_addr(int32_t fd, int32_t enabled);
WAMR_IMPORT(sock_set_recv_timeout)
int32_t wamr_sock_set_recv_timeout(int32_t fd, int64_t timeout_us);

#endif
