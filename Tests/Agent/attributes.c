#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

// sched_getattr(2)
struct scheduling {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

static void keyScheduler(void) {
  struct scheduling state = {.size = sizeof state};
  long result = syscall(SYS_sched_getattr, 0, &state, sizeof state, 0);
  jsonKey("scheduler");
  jsonOpen('{');
  keyError(result < 0 ? errno : 0);
  keyNumber("policy", state.policy);
  keyNumber("flags", (long long)state.flags);
  keyNumber("nice", state.nice);
  keyNumber("priority", state.priority);
  keyNumber("runtime", (long long)state.runtime);
  keyNumber("deadline", (long long)state.deadline);
  keyNumber("period", (long long)state.period);
  jsonClose('}');
}

static void keyMemoryPolicy(void) {
  unsigned long nodes[64] = {0};
  int mode = 0;
  long result = syscall(SYS_get_mempolicy, &mode, nodes, sizeof nodes * 8, NULL, 0);
  jsonKey("memoryPolicy");
  jsonOpen('{');
  keyError(result < 0 ? errno : 0);
  keyNumber("mode", mode);
  jsonKey("nodes");
  jsonOpen('[');
  for (int node = 0; node < 4096; node++)
    if (nodes[node / 64] >> (node % 64) & 1) jsonNumber(node);
  jsonClose(']');
  jsonClose('}');
}

void sectionAttributes(void) {
  char *score = readWhole("/proc/self/oom_score_adj");
  keyNumber("oomScoreAdj", score ? atoi(score) : 9999);
  keyScheduler();
  // IOPRIO_WHO_PROCESS, this one.
  keyNumber("ioPriority", syscall(SYS_ioprio_get, 1, 0));
  keyMemoryPolicy();
  keyNumber("personality", personality(0xffffffff));
  struct utsname machine;
  keyString("machine", uname(&machine) ? "" : machine.machine);
  // KEYCTL_DESCRIBE of KEY_SPEC_SESSION_KEYRING: type;uid;gid;permissions;name
  char keyring[256] = "";
  long length = syscall(SYS_keyctl, 6, -3, keyring, sizeof keyring - 1, 0);
  keyString("keyring", length < 0 ? "" : keyring);
}
