#ifndef APUS_FUZZ_H
#define APUS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/// Runs libFuzzer over one function with the arguments of the process. Only in the fuzzers' own build.
int apus_run_fuzzer(int count, char **arguments, int (*target)(const uint8_t *bytes, size_t count));

/// From now on every connection to a socket of this process is sent these bytes and then the end of the file, whatever
/// comes from there. Answers the name of the socket in the abstract namespace of unix(7), NULL where there is none.
const char *apus_answer(const uint8_t *bytes, size_t count);

#endif
