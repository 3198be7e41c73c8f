// The arguments of the process, kept by a constructor: Embedded Swift has no CommandLine. It lives with the executable,
// so that a program that embeds the library is not touched.
#ifndef APUS_CSTART_H
#define APUS_CSTART_H

int apus_argument_count(void);
const char *apus_argument(int index);
// The commit that is built.
const char *apus_commit(void);

#endif
