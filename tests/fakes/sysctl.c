/* macOS's sysctlbyname(3), which knows one name. */
#include <string.h>

int sysctlbyname(const char *name, void *old, size_t *size, void *changed, size_t changed_size) {
    const char *brand = "Apple M3 Max";
    if (strcmp(name, "machdep.cpu.brand_string") || *size <= strlen(brand)) return -1;
    *size = strlen(strcpy(old, brand)) + 1;
    return 0;
}
