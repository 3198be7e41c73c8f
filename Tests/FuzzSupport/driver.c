#include "fuzz.h"

// In the toolchain's libclang_rt.fuzzer_no_main.
int LLVMFuzzerRunDriver(int *count, char ***arguments, int (*target)(const uint8_t *, size_t));

int apus_run_fuzzer(int count, char **arguments, int (*target)(const uint8_t *, size_t)) {
  return LLVMFuzzerRunDriver(&count, &arguments, target);
}
