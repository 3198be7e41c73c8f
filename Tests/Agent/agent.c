// A static program that runs inside the containers of the integration tests and says what it sees there.
//
//   agent report [SECTION...]    one JSON object; without a section all of them
//   agent VERB [ARGUMENT...]     one small action; `agent help` lists them
//
// It is linked statically, so that it works in an empty root file system, and it trusts nothing but the
// kernel: what /proc might hide (a container without /proc) is asked by system call where that is possible.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

// ---- JSON ---------------------------------------------------------------------------------------------

static bool needComma;

static void comma(void) {
  if (needComma) putchar(',');
  needComma = false;
}

static void jsonString(const char *text) {
  comma();
  putchar('"');
  for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++) {
    if (*byte == '"' || *byte == '\\') printf("\\%c", *byte);
    else if (*byte < 0x20 || *byte >= 0x7f) printf("\\u%04x", *byte);
    else putchar(*byte);
  }
  putchar('"');
  needComma = true;
}

static void jsonKey(const char *name) {
  jsonString(name);
  putchar(':');
  needComma = false;
}

static void jsonNumber(long long value) {
  comma();
  printf("%lld", value);
  needComma = true;
}

static void jsonBool(bool value) {
  comma();
  fputs(value ? "true" : "false", stdout);
  needComma = true;
}

static void jsonNull(void) {
  comma();
  fputs("null", stdout);
  needComma = true;
}

static void jsonOpen(char bracket) {
  comma();
  putchar(bracket);
}

static void jsonClose(char bracket) {
  putchar(bracket);
  needComma = true;
}

static void keyString(const char *name, const char *value) {
  jsonKey(name);
  jsonString(value);
}

static void keyNumber(const char *name, long long value) {
  jsonKey(name);
  jsonNumber(value);
}

static void keyError(int error) {
  keyNumber("errno", error);
  keyString("error", error ? strerrorname_np(error) : "");
}

// ---- helpers ------------------------------------------------------------------------------------------

static char *readWhole(const char *path) {
  static char buffer[1 << 20];
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return NULL;
  size_t length = 0;
  ssize_t count;
  while (length < sizeof buffer - 1 && (count = read(file, buffer + length, sizeof buffer - 1 - length)) > 0)
    length += (size_t)count;
  close(file);
  buffer[length] = 0;
  return buffer;
}

static void keyFile(const char *name, const char *path) {
  char *text = readWhole(path);
  jsonKey(name);
  if (text) jsonString(text);
  else jsonNull();
}

static const char *kindName(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG: return "file";
  case S_IFDIR: return "directory";
  case S_IFLNK: return "link";
  case S_IFCHR: return "char";
  case S_IFBLK: return "block";
  case S_IFIFO: return "fifo";
  case S_IFSOCK: return "socket";
  }
  return "?";
}

static int compareNames(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

static size_t listNames(const char *path, char **names, size_t limit) {
  DIR *directory = opendir(path);
  if (!directory) return 0;
  size_t count = 0;
  struct dirent *entry;
  while ((entry = readdir(directory)) && count < limit)
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) names[count++] = strdup(entry->d_name);
  closedir(directory);
  qsort(names, count, sizeof *names, compareNames);
  return count;
}

static void statObject(const char *path) {
  struct stat status;
  jsonOpen('{');
  if (lstat(path, &status)) {
    keyError(errno);
    jsonClose('}');
    return;
  }
  keyString("type", kindName(status.st_mode));
  keyNumber("mode", status.st_mode & 07777);
  keyNumber("uid", status.st_uid);
  keyNumber("gid", status.st_gid);
  keyNumber("size", status.st_size);
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
    keyNumber("major", major(status.st_rdev));
    keyNumber("minor", minor(status.st_rdev));
  }
  if (S_ISLNK(status.st_mode)) {
    char target[4096];
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    keyString("target", target);
  }
  jsonClose('}');
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

static int argumentCount;
static char **arguments;

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

static void mountObject(char *line) {
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

static void rememberDescriptors(void) {
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

static void keyListing(const char *name, const char *path) {
  static char *names[4096];
  size_t count = listNames(path, names, 4096);
  jsonKey(name);
  jsonOpen('{');
  for (size_t index = 0; index < count; index++) {
    char full[4096];
    snprintf(full, sizeof full, "%s/%s", path, names[index]);
    jsonKey(names[index]);
    statObject(full);
  }
  jsonClose('}');
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
};

static int report(int count, char **names) {
  jsonOpen('{');
  for (size_t index = 0; index < sizeof sections / sizeof *sections; index++) {
    bool wanted = count == 0;
    for (int other = 0; other < count; other++) wanted |= !strcmp(names[other], sections[index].name);
    if (wanted) sections[index].write();
  }
  jsonClose('}');
  putchar('\n');
  return 0;
}

// ---- actions ------------------------------------------------------------------------------------------

static void say(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vprintf(format, list);
  va_end(list);
  fflush(stdout);
}

static int outcome(const char *what, long result) {
  int error = result < 0 ? errno : 0;
  jsonOpen('{');
  keyString("did", what);
  keyNumber("result", result);
  keyError(error);
  jsonClose('}');
  putchar('\n');
  fflush(stdout);
  needComma = false;
  return 0;
}

// Says "ready", waits for one signal that can be caught, says which, and exits with 0.
static int waitForSignal(void) {
  sigset_t all;
  siginfo_t information;
  sigfillset(&all);
  sigdelset(&all, SIGCHLD);
  sigprocmask(SIG_SETMASK, &all, NULL);
  say("ready\n");
  int number = sigwaitinfo(&all, &information);
  say("signal %d\n", number);
  return 0;
}

static _Noreturn void pauseForever(void) {
  for (;;) pause();
}

static int forkChildren(int count) {
  for (int index = 0; index < count; index++) {
    pid_t child = fork();
    if (child == 0) pauseForever();
    if (child < 0) return outcome("fork", -1);
  }
  say("ready\n");
  pauseForever();
}

static int forkUntilRefused(int count) {
  int made = 0, error = 0;
  for (; made < count; made++) {
    pid_t child = fork();
    if (child == 0) pauseForever();
    if (child < 0) {
      error = errno;
      break;
    }
  }
  jsonOpen('{');
  keyNumber("made", made);
  keyError(error);
  jsonClose('}');
  putchar('\n');
  fflush(stdout);
  signal(SIGTERM, SIG_IGN);
  kill(0, SIGTERM);  // the children of this group; in a container without its own pid namespace too
  return 0;
}

static int memoryHog(long megabytes) {
  for (long done = 0; done < megabytes; done++) {
    char *page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return outcome("mmap", -1);
    memset(page, 1, 1 << 20);
  }
  say("took %ld\n", megabytes);
  return 0;
}

static int tryOpen(const char *path, const char *how) {
  int flags = strchr(how, 'w') ? (strchr(how, 'r') ? O_RDWR : O_WRONLY) : O_RDONLY;
  if (strchr(how, 'c')) flags |= O_CREAT;
  if (strchr(how, 't')) flags |= O_TRUNC;
  int file = open(path, flags | O_CLOEXEC, 0644);
  outcome("open", file);
  if (file >= 0 && strchr(how, 'b')) {
    char byte = 0;
    outcome("read", read(file, &byte, 1));
  }
  return 0;
}

static int writeFile(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return outcome("open", -1), 1;
  outcome("write", write(file, text, strlen(text)));
  return 0;
}

static int tryRemount(const char *path) {
  outcome("remount", mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL));
  outcome("unmount", umount2(path, MNT_DETACH));
  struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
  outcome("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, path, 0, &attributes, sizeof attributes));
  return 0;
}

// CVE-2019-5736 and its relatives: everything a container may try on the executable of another process, to
// reach the runtime's own file on the host.
static int overwriteExecutable(const char *pid) {
  char path[64], memory[64];
  snprintf(path, sizeof path, "/proc/%s/exe", pid);
  snprintf(memory, sizeof memory, "/proc/%s/mem", pid);
  outcome("open write", open(path, O_WRONLY | O_CLOEXEC));
  outcome("open write truncate", open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));
  outcome("truncate", truncate(path, 0));
  outcome("chmod", chmod(path, 0777));
  int handle = open(path, O_RDONLY | O_CLOEXEC);
  outcome("open read", handle);
  if (handle >= 0) {
    char again[64];
    snprintf(again, sizeof again, "/proc/self/fd/%d", handle);
    outcome("reopen write", open(again, O_WRONLY | O_CLOEXEC));
    struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC};
    outcome("setattr", syscall(SYS_mount_setattr, handle, "", AT_EMPTY_PATH, &attributes, sizeof attributes));
    outcome("remount", mount(NULL, again, NULL, MS_REMOUNT | MS_BIND, NULL));
    outcome("remount super", mount(NULL, again, NULL, MS_REMOUNT, NULL));
    int tree = (int)syscall(SYS_open_tree, handle, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | O_CLOEXEC);
    outcome("open_tree", tree);
    if (tree >= 0) {
      outcome("setattr tree", syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes));
      snprintf(again, sizeof again, "/proc/self/fd/%d", tree);
      int file = open(again, O_WRONLY | O_CLOEXEC);
      outcome("open tree write", file);
      if (file >= 0) outcome("write", write(file, "overwritten", 11));
    }
  }
  outcome("remount path", mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL));
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file >= 0) outcome("write", write(file, "overwritten", 11));
  file = open(memory, O_RDWR | O_CLOEXEC);
  outcome("open mem", file);
  say("done\n");
  return 0;
}

static int trySyscall(const char *name) {
  if (!strcmp(name, "getcwd")) {
    char path[4096];
    return outcome(name, syscall(SYS_getcwd, path, sizeof path));
  }
  if (!strcmp(name, "mkdir")) return outcome(name, syscall(SYS_mkdir, "/tmp/made-by-agent", 0755));
  if (!strcmp(name, "getppid")) return outcome(name, syscall(SYS_getppid));
  if (!strcmp(name, "sethostname")) return outcome(name, syscall(SYS_sethostname, "changed", 7));
  if (!strcmp(name, "personality")) return outcome(name, syscall(SYS_personality, 8));
  if (!strcmp(name, "unshare")) return outcome(name, syscall(SYS_unshare, 0x10000000));
  if (!strcmp(name, "mknod")) return outcome(name, syscall(SYS_mknod, "/tmp/zero", S_IFCHR | 0666, makedev(1, 5)));
  return outcome(name, syscall(SYS_chmod, name, 0700));
}

static int tryDevice(const char *path, const char *kind, const char *numbers) {
  unsigned first = 0, second = 0;
  sscanf(numbers, "%u:%u", &first, &second);
  if (outcome("mknod", mknod(path, (*kind == 'b' ? S_IFBLK : S_IFCHR) | 0666, makedev(first, second)))) return 1;
  outcome("open read", open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  outcome("open write", open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  return 0;
}

static int sharedMemory(void) {
  return outcome("shmget", shmget(0x61707573, 4096, IPC_CREAT | 0600));
}

static int printFile(const char *path) {
  char *text = readWhole(path);
  if (!text) return outcome("read", -1), 1;
  fputs(text, stdout);
  return 0;
}

static int help(void) {
  puts("report exit signal wait pause children fork-limit memory open write read stat list remount "
       "overwrite syscall device shm mount");
  return 2;
}

int main(int count, char **words) {
  rememberDescriptors();
  argumentCount = count;
  arguments = words;
  if (count < 2) return help();
  const char *verb = words[1], *first = count > 2 ? words[2] : "", *second = count > 3 ? words[3] : "";
  if (!strcmp(verb, "report")) return report(count - 2, words + 2);
  if (!strcmp(verb, "exit")) return atoi(first);
  if (!strcmp(verb, "signal")) return signal(atoi(first), SIG_DFL), kill(getpid(), atoi(first)), 1;
  if (!strcmp(verb, "wait")) return waitForSignal();
  if (!strcmp(verb, "pause")) pauseForever();
  if (!strcmp(verb, "children")) return forkChildren(atoi(first));
  if (!strcmp(verb, "fork-limit")) return forkUntilRefused(atoi(first));
  if (!strcmp(verb, "memory")) return memoryHog(atol(first));
  if (!strcmp(verb, "open")) return tryOpen(first, second);
  if (!strcmp(verb, "write")) return writeFile(first, second);
  if (!strcmp(verb, "read")) return printFile(first);
  if (!strcmp(verb, "stat")) return statObject(first), putchar('\n'), 0;
  if (!strcmp(verb, "list")) return jsonOpen('{'), keyListing("entries", first), jsonClose('}'), putchar('\n'), 0;
  if (!strcmp(verb, "remount")) return tryRemount(first);
  if (!strcmp(verb, "overwrite")) return overwriteExecutable(first);
  if (!strcmp(verb, "syscall")) return trySyscall(first);
  if (!strcmp(verb, "device")) return tryDevice(first, second, count > 4 ? words[4] : "");
  if (!strcmp(verb, "shm")) return sharedMemory();
  if (!strcmp(verb, "mount")) return outcome("mount", mount("tmpfs", first, "tmpfs", 0, NULL));
  return help();
}
