#define _GNU_SOURCE
#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void keyFile(const char *name, const char *path) {
  char *text = readWhole(path);
  jsonKey(name);
  if (text) jsonString(text);
  else jsonNull();
}

// ---- sections of the report ---------------------------------------------------------------------------

static void sectionProcess(void) {
  keyNumber("pid", getpid());
  keyNumber("ppid", getppid());
  keyNumber("pgid", getpgrp());
  keyNumber("sid", getsid(0));
}

static void sectionUser(void) {
  uid_t real, effective, saved;
  getresuid(&real, &effective, &saved);
  jsonKey("uids");
  jsonOpen('[');
  jsonNumber(real), jsonNumber(effective), jsonNumber(saved);
  jsonClose(']');
  getresgid(&real, &effective, &saved);
  jsonKey("gids");
  jsonOpen('[');
  jsonNumber(real), jsonNumber(effective), jsonNumber(saved);
  jsonClose(']');
  gid_t groups[1024];
  int count = getgroups(1024, groups);
  jsonKey("groups");
  jsonOpen('[');
  for (int index = 0; index < count; index++) jsonNumber(groups[index]);
  jsonClose(']');
  mode_t mask = umask(0);
  umask(mask);
  keyNumber("umask", mask);
}

static const char *const capabilityNames[] = {
  "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
  "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
  "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
  "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
  "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
  "CHECKPOINT_RESTORE",
};
static const int capabilityCount = sizeof capabilityNames / sizeof *capabilityNames;

static void keyCapabilities(const char *name, unsigned long long set) {
  jsonKey(name);
  jsonOpen('[');
  for (int index = 0; index < capabilityCount; index++) {
    char text[64];
    if (!(set >> index & 1)) continue;
    snprintf(text, sizeof text, "CAP_%s", capabilityNames[index]);
    jsonString(text);
  }
  jsonClose(']');
}

static void sectionCapabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {0};
  syscall(SYS_capget, &header, data);
  unsigned long long bounding = 0, ambient = 0;
  for (int index = 0; index < capabilityCount; index++) {
    if (prctl(PR_CAPBSET_READ, index, 0, 0, 0) == 1) bounding |= 1ULL << index;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, index, 0, 0) == 1) ambient |= 1ULL << index;
  }
  jsonKey("capabilities");
  jsonOpen('{');
  keyCapabilities("bounding", bounding);
  keyCapabilities("effective", data[0].effective | (unsigned long long)data[1].effective << 32);
  keyCapabilities("permitted", data[0].permitted | (unsigned long long)data[1].permitted << 32);
  keyCapabilities("inheritable", data[0].inheritable | (unsigned long long)data[1].inheritable << 32);
  keyCapabilities("ambient", ambient);
  jsonClose('}');
}

static void sectionSecurity(void) {
  jsonKey("noNewPrivileges");
  jsonBool(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
  keyNumber("dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
  int mode = -1;
  char *status = readWhole("/proc/self/status");
  char *line = status ? strstr(status, "\nSeccomp:") : NULL;
  if (line) sscanf(line, "\nSeccomp: %d", &mode);
  keyNumber("seccomp", mode);
  keyNumber("personality", syscall(SYS_personality, 0xffffffff));
  int number = 0;
  prctl(PR_GET_PDEATHSIG, &number, 0, 0, 0);
  keyNumber("parentDeathSignal", number);
}

static void sectionSignals(void) {
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, NULL, &blocked);
  jsonKey("blockedSignals");
  jsonOpen('[');
  for (int number = 1; number < 65; number++)
    if (sigismember(&blocked, number) == 1) jsonNumber(number);
  jsonClose(']');
  jsonKey("ignoredSignals");
  jsonOpen('[');
  for (int number = 1; number < 65; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) jsonNumber(number);
  }
  jsonClose(']');
}

static const struct { const char *name; int number; } limits[] = {
  {"RLIMIT_AS", RLIMIT_AS}, {"RLIMIT_CORE", RLIMIT_CORE}, {"RLIMIT_CPU", RLIMIT_CPU},
  {"RLIMIT_DATA", RLIMIT_DATA}, {"RLIMIT_FSIZE", RLIMIT_FSIZE}, {"RLIMIT_LOCKS", RLIMIT_LOCKS},
  {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
  {"RLIMIT_NOFILE", RLIMIT_NOFILE}, {"RLIMIT_NPROC", RLIMIT_NPROC}, {"RLIMIT_RSS", RLIMIT_RSS},
  {"RLIMIT_RTPRIO", RLIMIT_RTPRIO}, {"RLIMIT_RTTIME", RLIMIT_RTTIME},
  {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING}, {"RLIMIT_STACK", RLIMIT_STACK},
};

static void sectionLimits(void) {
  jsonKey("rlimits");
  jsonOpen('{');
  for (size_t index = 0; index < sizeof limits / sizeof *limits; index++) {
    struct rlimit value = {0};
    getrlimit(limits[index].number, &value);
    jsonKey(limits[index].name);
    jsonOpen('{');
    keyNumber("soft", (long long)value.rlim_cur);
    keyNumber("hard", (long long)value.rlim_max);
    jsonClose('}');
  }
  jsonClose('}');
}

int argumentCount;
char **arguments;

static void sectionCommand(void) {
  char path[8192];
  jsonKey("args");
  jsonOpen('[');
  for (int index = 0; index < argumentCount; index++) jsonString(arguments[index]);
  jsonClose(']');
  jsonKey("env");
  jsonOpen('[');
  for (char **entry = environ; *entry; entry++) jsonString(*entry);
  jsonClose(']');
  keyString("cwd", getcwd(path, sizeof path) ? path : strerrorname_np(errno));
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[length < 0 ? 0 : length] = 0;
  keyString("exe", path);
}

static void sectionHost(void) {
  struct utsname names;
  uname(&names);
  keyString("hostname", names.nodename);
  keyString("domainname", names.domainname);
  keyString("machine", names.machine);
  keyFile("uidMap", "/proc/self/uid_map");
  keyFile("gidMap", "/proc/self/gid_map");
  keyFile("setgroups", "/proc/self/setgroups");
  keyFile("cgroup", "/proc/self/cgroup");
  keyFile("timeOffsets", "/proc/self/timens_offsets");
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  keyNumber("monotonic", now.tv_sec);
  clock_gettime(CLOCK_BOOTTIME, &now);
  keyNumber("boottime", now.tv_sec);
}

static void sectionNamespaces(void) {
  static const char *const names[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
  jsonKey("namespaces");
  jsonOpen('{');
  for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/self/ns/%s", names[index]);
    keyNumber(names[index], stat(path, &status) ? 0 : (long long)status.st_ino);
  }
  jsonClose('}');
}

void mountObject(char *line) {
  char *words[64], *save = NULL;
  int count = 0;
  for (char *word = strtok_r(line, " ", &save); word && count < 64; word = strtok_r(NULL, " ", &save))
    words[count++] = word;
  int dash = 6;
  while (dash < count && strcmp(words[dash], "-")) dash++;
  if (dash + 3 >= count) return;
  jsonOpen('{');
  keyString("root", words[3]);
  keyString("destination", words[4]);
  keyString("options", words[5]);
  jsonKey("propagation");
  jsonOpen('[');
  for (int index = 6; index < dash; index++) jsonString(words[index]);
  jsonClose(']');
  keyString("type", words[dash + 1]);
  keyString("source", words[dash + 2]);
  keyString("super", words[dash + 3]);
  jsonClose('}');
}

static void sectionMounts(void) {
  char *save = NULL, *text = readWhole("/proc/self/mountinfo");
  jsonKey("mounts");
  jsonOpen('[');
  for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
    mountObject(line);
  jsonClose(']');
}

// Taken before anything else is opened, so that only what the runtime passed on is seen.
static int openDescriptors[1024];
static int openCount;

void rememberDescriptors(void) {
  for (int number = 0; number < 65536 && openCount < 1024; number++)
    if (fcntl(number, F_GETFD) >= 0) openDescriptors[openCount++] = number;
}

static void sectionDescriptors(void) {
  jsonKey("descriptors");
  jsonOpen('{');
  for (int index = 0; index < openCount; index++) {
    char path[64], name[16], target[4096];
    snprintf(path, sizeof path, "/proc/self/fd/%d", openDescriptors[index]);
    snprintf(name, sizeof name, "%d", openDescriptors[index]);
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    keyString(name, target);
  }
  jsonClose('}');
}

static void sectionInterfaces(void) {
  int handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct if_nameindex *list = if_nameindex();
  jsonKey("interfaces");
  jsonOpen('{');
  for (struct if_nameindex *entry = list; entry && entry->if_index; entry++) {
    struct ifreq request = {0};
    strncpy(request.ifr_name, entry->if_name, IFNAMSIZ - 1);
    int result = ioctl(handle, SIOCGIFFLAGS, &request);
    jsonKey(entry->if_name);
    jsonOpen('{');
    jsonKey("up");
    jsonBool(result == 0 && request.ifr_flags & IFF_UP);
    bool hasAddress = ioctl(handle, SIOCGIFADDR, &request) == 0;
    struct sockaddr_in *address = (struct sockaddr_in *)&request.ifr_addr;
    keyString("address", hasAddress ? inet_ntoa(address->sin_addr) : "");
    jsonClose('}');
  }
  jsonClose('}');
  if (list) if_freenameindex(list);
  close(handle);
}

static void sectionDevices(void) {
  keyListing("dev", "/dev");
}

static void sectionSysv(void) {
  keyFile("sysvipcShm", "/proc/sysvipc/shm");
  keyFile("sysvipcMsg", "/proc/sysvipc/msg");
  keyFile("sysvipcSem", "/proc/sysvipc/sem");
}

static void sectionProcesses(void) {
  static char *names[8192];
  size_t count = listNames("/proc", names, 8192);
  jsonKey("processes");
  jsonOpen('[');
  for (size_t index = 0; index < count; index++)
    if (names[index][0] >= '0' && names[index][0] <= '9') jsonNumber(atoi(names[index]));
  jsonClose(']');
}

static const struct { const char *name; void (*write)(void); } sections[] = {
  {"process", sectionProcess}, {"user", sectionUser}, {"capabilities", sectionCapabilities},
  {"security", sectionSecurity}, {"signals", sectionSignals}, {"limits", sectionLimits},
  {"command", sectionCommand}, {"host", sectionHost}, {"namespaces", sectionNamespaces},
  {"mounts", sectionMounts}, {"descriptors", sectionDescriptors}, {"interfaces", sectionInterfaces},
  {"devices", sectionDevices}, {"sysv", sectionSysv}, {"processes", sectionProcesses},
  {"attributes", sectionAttributes},
  {"terminal", sectionTerminal},
};

int report(int count, char **names) {
  jsonOpen('{');
  for (size_t index = 0; index < sizeof sections / sizeof *sections; index++) {
    bool wanted = count == 0;
    for (int other = 0; other < count; other++) wanted |= !strcmp(names[other], sections[index].name);
    if (wanted) sections[index].write();
  }
  jsonClose('}');
  jsonLine();
  return 0;
}
