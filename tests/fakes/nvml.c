/* A libnvidia-ml.so.1 whose GPUs are the lines of the file that FAKE_NVML names, read anew at every call:

     uuid|name|memory bytes|limit mW|energy mJ|power mW|utilisation %|MIG slices, as 1,2,3 or 0 for none of a board that is to have them|error code for reads|
     processes, as pid:utilisation % of the multiprocessors, where the latter is left out if it is not to be known;
     where it is 0 of all of them, nobody was busy

   An empty field is "not supported", an empty line a GPU that was lost. A handle is the line's number plus one; of a MIG slice, 1000 times the slice's more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15 };
enum { UUID, NAME, MEMORY, LIMIT, ENERGY, POWER, UTILISATION, SLICES, ERROR, PROCESSES, FIELDS };
/* Of each thread, since NVML may be called by several at once. */
static __thread char line[4096], *fields[FIELDS];

static int load(long number) {
    FILE *file = fopen(getenv("FAKE_NVML") ? getenv("FAKE_NVML") : "", "r");
    if (!file) return 0;
    long at = 0;
    while (at <= number && fgets(line, sizeof line, file)) at++;
    fclose(file);
    if (at <= number) return 0;
    line[strcspn(line, "\n")] = 0;
    char *rest = line;
    for (int i = 0; i < FIELDS; i++) fields[i] = rest ? strsep(&rest, "|") : "";
    if (!strcmp(fields[ERROR], "hang")) sleep(3600);
    return 1;
}
static long board(void *handle) { return (long)handle % 1000 - 1; }
static int slice(void *handle) { return (long)handle / 1000; }
static int slices(int wanted) {
    char copy[256], *rest = copy, *entry;
    int count = 0;
    snprintf(copy, sizeof copy, "%s", fields[SLICES]);
    while ((entry = strsep(&rest, ",")) && atoi(entry)) if (++count == wanted) return atoi(entry);
    return wanted ? 0 : count;
}
static int number(void *handle, int field, unsigned long long *value) {
    if (!load(board(handle))) return NOT_FOUND;
    if (*fields[ERROR]) return atoi(fields[ERROR]);
    if (slice(handle) || !*fields[field]) return NOT_SUPPORTED;
    *value = strtoull(fields[field], 0, 10);
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned flags) { return SUCCESS; }
int nvmlInit_v2(void) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == 15 ? "GPU is lost" : "an error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { for (*count = 0; load(*count); ++*count); return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = (void *)(long)(index + 1);
    return load(index) && !*fields[UUID] ? GPU_IS_LOST : SUCCESS;
}
int nvmlDeviceGetUUID(void *handle, char *text, unsigned size) {
    if (!load(board(handle))) return NOT_FOUND;
    if (slice(handle)) snprintf(text, size, "MIG-%s-%d", fields[UUID] + 4, slice(handle));
    else snprintf(text, size, "%s", fields[UUID]);
    return SUCCESS;
}
int nvmlDeviceGetName(void *handle, char *text, unsigned size) {
    if (!load(board(handle))) return NOT_FOUND;
    snprintf(text, size, "%s", fields[NAME]);
    return SUCCESS;
}
int nvmlDeviceGetMemoryInfo(void *handle, unsigned long long *memory) { memory[1] = memory[2] = 0; return number(handle, MEMORY, memory); }
static int narrow(void *handle, int field, unsigned *value) {
    unsigned long long wide = 0;
    int code = number(handle, field, &wide);
    *value = (unsigned)wide;
    return code;
}
int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *limit) { return narrow(handle, LIMIT, limit); }
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *energy) { return number(handle, ENERGY, energy); }
int nvmlDeviceGetPowerUsage(void *handle, unsigned *power) { return narrow(handle, POWER, power); }
int nvmlDeviceGetUtilizationRates(void *handle, unsigned *rates) { rates[1] = 0; return narrow(handle, UTILISATION, rates); }
int nvmlDeviceGetMigMode(void *handle, unsigned *now, unsigned *pending) {
    if (!load(board(handle))) return NOT_FOUND;
    *now = *pending = *fields[SLICES] != 0;
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
    if (!load(board(handle))) return NOT_FOUND;
    *count = strstr(fields[NAME], "A30") ? 4 : 7;
    return SUCCESS;
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **mig) {
    if (!load(board(handle)) || (int)index >= slices(0)) return NOT_FOUND;
    *mig = (void *)((long)handle + 1000 * (long)(index + 1));
    return SUCCESS;
}
static int instance(void *handle, unsigned *id, int value) {
    *id = value;
    return load(board(handle)) && slice(handle) ? SUCCESS : NOT_SUPPORTED;
}
int nvmlDeviceGetGpuInstanceId(void *handle, unsigned *id) { return instance(handle, id, slice(handle) + 6); }
int nvmlDeviceGetComputeInstanceId(void *handle, unsigned *id) { return instance(handle, id, 0); }
int nvmlDeviceGetAttributes_v2(void *handle, unsigned *attributes) {
    if (!load(board(handle))) return NOT_FOUND;
    memset(attributes, 0, 10 * sizeof *attributes);
    attributes[6] = slices(slice(handle)); /* after multiprocessors and five counts of engines: GPU instance slices */
    return SUCCESS;
}

/* Fills pids and utilisations (-1: not to be known); returns how many. */
static unsigned processes(void *handle, int *pids, int *used) {
    char copy[1024], *rest = copy, *entry;
    unsigned count = 0;
    if (!load(board(handle))) return 0;
    snprintf(copy, sizeof copy, "%s", fields[PROCESSES]);
    while ((entry = strsep(&rest, ",")) && *entry) {
        char *colon = strchr(entry, ':');
        pids[count] = atoi(entry);
        used[count++] = colon ? atoi(colon + 1) : -1;
    }
    return count;
}
typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; } process_info;
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, process_info *infos) {
    int pids[64], used[64];
    unsigned found = processes(handle, pids, used);
    if (!infos) return (*count = found) ? INSUFFICIENT_SIZE : SUCCESS;
    *count = found;
    for (unsigned i = 0; i < found; i++) infos[i] = (process_info){pids[i], 0, 0, 0};
    return SUCCESS;
}
typedef struct { unsigned pid; unsigned long long time; unsigned sm, memory, encoder, decoder; } utilisation_sample;
int nvmlDeviceGetProcessUtilization(void *handle, utilisation_sample *samples, unsigned *count, unsigned long long since) {
    int pids[64], used[64];
    unsigned found = processes(handle, pids, used);
    if (found && used[0] < 0) return NOT_SUPPORTED;
    unsigned busy = 0;
    for (unsigned i = 0; i < found; i++) busy += used[i];
    if (!busy) return NOT_FOUND;
    *count = found;
    if (!samples) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < found; i++) samples[i] = (utilisation_sample){pids[i], since + 1000, used[i], 0, 0, 0};
    return SUCCESS;
}
