/* A stand-in for libnvidia-ml.so.1: GPUs as a text file describes them, read anew at every call.
 *
 * NVML_STATE names the file, one GPU a line: state utilization used total reserved temperature power
 * state: ok, lost (GPU_IS_LOST) or plain (no utilization, no power, as some GPUs). Memory in MB, power in mW.
 * Without the file the driver is "not loaded". NVML_LOG names a file that takes a line for each init and shutdown.
 * NVML_INIT_ERROR is the code that init fails with. NVML_DEVICES names a file with a line for each GPU, too:
 * bus processes instances
 * bus: its number on the PCI bus. processes: how many compute on it (on its first instance, where it is split).
 * instances: how many MIG instances it has; "-": it cannot be split, "off": it is not split.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15
};

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

/* A handle is the number of a GPU from 1 on, and 1000 times that of its MIG instance, from 1 on. */
static unsigned number_of(void *handle) { return (unsigned)((unsigned long)handle % 1000) - 1; }
static unsigned instance_of(void *handle) { return (unsigned)((unsigned long)handle / 1000); }

static int look_up(void *handle, gpu *found) {
    unsigned index = number_of(handle);
    if (!initialized) return UNINITIALIZED;
    if ((int)index >= load(index, found)) return INVALID_ARGUMENT;
    return strcmp(found->state, "lost") == 0 ? GPU_IS_LOST : SUCCESS;
}

static int is_plain(const gpu *one) { return strcmp(one->state, "plain") == 0; }

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    note("init");
    if (getenv("NVML_INIT_ERROR")) return atoi(getenv("NVML_INIT_ERROR"));
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

typedef struct {
    unsigned bus, processes;
    char instances[8];
} device;

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
} pci_t;

typedef struct {
    unsigned pid;
    unsigned long long memory;
    unsigned gpu_instance, compute_instance;
} process_t;

enum { MOST_INSTANCES = 7 };

static int describe(void *handle, device *found) {
    const char *name = getenv("NVML_DEVICES");
    FILE *file = name ? fopen(name, "r") : NULL;
    unsigned index;
    gpu one;
    int code = look_up(handle, &one);
    found->bus = number_of(handle);
    found->processes = 0;
    strcpy(found->instances, "-");
    if (file) {
        for (index = 0; index <= number_of(handle); index++)
            if (fscanf(file, "%x %u %7s", &found->bus, &found->processes, found->instances) != 3) code = INVALID_ARGUMENT;
        fclose(file);
    }
    return code;
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned size) {
    device one;
    int code = describe(handle, &one);
    if (code) return code;
    if (instance_of(handle)) snprintf(uuid, size, "MIG-%02x-%u", one.bus, instance_of(handle) - 1);
    else snprintf(uuid, size, "GPU-%02x", one.bus);
    return SUCCESS;
}

int nvmlDeviceGetName(void *handle, char *name, unsigned size) {
    device one;
    int code = describe(handle, &one);
    if (code) return code;
    snprintf(name, size, "Stand-in %02x", one.bus);
    return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(void *handle, pci_t *pci) {
    device one;
    int code = describe(handle, &one);
    if (code) return code;
    memset(pci, 0, sizeof *pci);
    pci->bus = one.bus;
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", one.bus);
    return SUCCESS;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    device one;
    int code = describe(handle, &one);
    if (code) return code;
    if (strcmp(one.instances, "-") == 0) return NOT_SUPPORTED;
    *current = *pending = strcmp(one.instances, "off") != 0;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
    (void)handle;
    *count = MOST_INSTANCES;
    return SUCCESS;
}

/* The places are not all taken: the instances are on every second one. */
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned place, void **instance) {
    device one;
    int code = describe(handle, &one);
    if (code) return code;
    if (place % 2 || (int)place / 2 >= atoi(one.instances)) return NOT_FOUND;
    *instance = (void *)((unsigned long)handle + 1000 * (place / 2 + 1));
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, process_t *processes) {
    device one;
    unsigned room = *count, index;
    int code = describe(handle, &one);
    if (code) return code;
    *count = instance_of(handle) > 1 ? 0 : one.processes;
    if (*count > room) return INSUFFICIENT_SIZE;
    for (index = 0; index < *count; index++) memset(&processes[index], 0, sizeof *processes);
    return SUCCESS;
}
