#include "CStart.h"

#include <stdint.h>

extern char **environ;

static int count;
static char **values;

// Not every C library hands the arguments to constructors. The kernel lays them out in front of the environment: their
// number, the arguments, NULL, the environment (the System V ABI, "Initial Process Stack").
__attribute__((constructor)) static void keep(void) {
  values = environ - 1;
  while ((uintptr_t)values[-1] != (uintptr_t)count) {
    values--;
    count++;
  }
}

int apus_argument_count(void) { return count; }

const char *apus_commit(void) { return APUS_COMMIT; }

const char *apus_argument(int index) { return values[index]; }
