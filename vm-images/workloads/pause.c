// The process of a pod sandbox: it holds the pod's namespaces and does nothing else.
//
// Static, no allocation. As PID 1 of a shared PID namespace it reaps what is orphaned to it;
// SIGTERM and SIGINT end it at once with status 0, since there is nothing to finish.

#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int signal_number) {
    (void)signal_number;
    _exit(0);
}

static void reap(int signal_number) {
    (void)signal_number;
    // One SIGCHLD may stand for several children.
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

int main(void) {
    struct sigaction on_stop = {.sa_handler = stop};
    struct sigaction on_child = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP | SA_RESTART};
    // PID 1 gets no signal that it has no handler for, so all three are set before anything else.
    if (sigaction(SIGTERM, &on_stop, NULL) != 0 || sigaction(SIGINT, &on_stop, NULL) != 0 ||
        sigaction(SIGCHLD, &on_child, NULL) != 0) {
        return 1;
    }
    for (;;) {
        pause();
    }
}
