/* A busy machine, by LD_PRELOAD: the process loses its processor in front of each waitpid, until a signal or 3 s. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/types.h>
#include <time.h>

pid_t waitpid(pid_t pid, int *status, int options) {
    pid_t (*real)(pid_t, int *, int) = dlsym(RTLD_NEXT, "waitpid");
    struct timespec meanwhile = {3, 0};
    nanosleep(&meanwhile, NULL);
    return real(pid, status, options);
}
