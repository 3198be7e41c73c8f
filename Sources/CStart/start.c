#include "CStart.h"

static int count;
static char **values;

__attribute__((constructor)) static void keep(int argc, char **argv) {
  count = argc;
  values = argv;
}

int apus_argument_count(void) { return count; }

const char *apus_commit(void) { return APUS_COMMIT; }

const char *apus_argument(int index) { return values[index]; }
