/* A wall clock that can be set back under a live process: LD_PRELOAD this library, and CLOCK_REALTIME is a day
   behind as soon as the file named by SHIFTED_CLOCK exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    const char *flag = getenv("SHIFTED_CLOCK");
    if (result == 0 && clock == CLOCK_REALTIME && flag != NULL && access(flag, F_OK) == 0)
        now->tv_sec -= 24 * 60 * 60;
    return result;
}
