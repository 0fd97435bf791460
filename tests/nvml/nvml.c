/* A stand-in for libnvidia-ml.so.1: GPUs as a text file describes them, read anew at every call.
 *
 * NVML_STATE names the file, one GPU a line: state utilization used total reserved temperature power
 * state: ok, lost (GPU_IS_LOST) or plain (no utilization, no power, as some GPUs). Memory in MB, power in mW.
 * Without the file the driver is "not loaded". NVML_LOG names a file that takes a line for each init and shutdown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

#define MB 1048576ULL

typedef struct {
    char state[16];
    unsigned utilization, used, total, reserved, temperature, power;
} gpu;

typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2_t;

static int initialized = 0;

static void note(const char *what) {
    const char *name = getenv("NVML_LOG");
    FILE *log = name ? fopen(name, "a") : NULL;
    if (log) {
        fprintf(log, "%s\n", what);
        fclose(log);
    }
}

/* The number of GPUs, or -1 without a state; the one called `index` is put into `found`. */
static int load(unsigned index, gpu *found) {
    const char *name = getenv("NVML_STATE");
    FILE *file = name ? fopen(name, "r") : NULL;
    int count = 0;
    gpu one;
    if (!file) return -1;
    while (fscanf(file, "%15s %u %u %u %u %u %u", one.state, &one.utilization, &one.used, &one.total, &one.reserved,
                  &one.temperature, &one.power) == 7) {
        if (found && (unsigned)count == index) *found = one;
        count++;
    }
    fclose(file);
    return count;
}

static int look_up(void *handle, gpu *found) {
    unsigned index = (unsigned)(unsigned long)handle - 1;
    if (!initialized) return UNINITIALIZED;
    if ((int)index >= load(index, found)) return INVALID_ARGUMENT;
    return strcmp(found->state, "lost") == 0 ? GPU_IS_LOST : SUCCESS;
}

static int is_plain(const gpu *one) { return strcmp(one->state, "plain") == 0; }

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    note("init");
    if (load(0, NULL) < 0) return DRIVER_NOT_LOADED;
    initialized = 1;
    return SUCCESS;
}

int nvmlShutdown(void) {
    note("shutdown");
    initialized = 0;
    return SUCCESS;
}

const char *nvmlErrorString(int code) { return code == GPU_IS_LOST ? "GPU is lost" : "error"; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    int known = load(0, NULL);
    if (!initialized || known < 0) return UNINITIALIZED;
    *count = (unsigned)known;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    gpu one;
    *handle = (void *)(unsigned long)(index + 1);
    return look_up(*handle, &one);
}

int nvmlDeviceGetUtilizationRates(void *handle, utilization_t *rates) {
    gpu one;
    int code = look_up(handle, &one);
    if (code) return code;
    if (is_plain(&one)) return NOT_SUPPORTED;
    rates->gpu = one.utilization;
    rates->memory = 0;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory) {
    gpu one;
    int code = look_up(handle, &one);
    if (code) return code;
    memory->total = one.total * MB;
    memory->used = (one.used + one.reserved) * MB; /* version 1 counts what the driver reserves */
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

#ifndef OLD_DRIVER
int nvmlDeviceGetMemoryInfo_v2(void *handle, memory_v2_t *memory) {
    gpu one;
    int code = look_up(handle, &one);
    if (code) return code;
    memory->total = one.total * MB;
    memory->used = one.used * MB;
    memory->reserved = one.reserved * MB;
    memory->free = memory->total - memory->used - memory->reserved;
    return SUCCESS;
}
#endif

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *celsius) {
    gpu one;
    int code = look_up(handle, &one);
    (void)sensor;
    if (code) return code;
    *celsius = one.temperature;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) {
    gpu one;
    int code = look_up(handle, &one);
    if (code) return code;
    if (is_plain(&one)) return NOT_SUPPORTED;
    *milliwatts = one.power;
    return SUCCESS;
}
