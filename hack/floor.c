// The floor of hack/bench: the kernel operations that starting a container with the default
// configuration takes, and nothing else. No configuration is read, nothing is checked twice,
// nothing is executed again: what a runtime needs beyond this time is its own.
//
//   floor [--limits] [--filter FILE] run ROOTFS CGROUP CMD…
//   floor [--limits] [--limit FILE=VALUE]… [--filter FILE] create STATE ROOTFS CGROUP CMD…
//   floor start|state|delete STATE
//   floor kill STATE KILL
//   floor delete --force STATE
//   floor exec STATE CMD…
//
// FILE of a limit is that of its cgroup, as `pids.max`. `kill` also takes away the limit of CPU time, in which the end of a
// process that has used it up would wait; `delete --force` waits for that end.
// CGROUP is a path below the mount point of every hierarchy whose parent exists. FILE holds a
// compiled seccomp filter. The process joins its v1 cgroups itself by writing `0` to `tasks`: a
// write to `cgroup.procs` waits for an RCU grace period. On v2 it is born inside (CLONE_INTO_CGROUP).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define CHECK(call, what) \
  do { \
    if ((call) < 0) fail(what); \
  } while (0)

enum { maximumHierarchies = 16, maximumLimits = 4 };

struct hierarchy {
  char options[64];    // mount data of v1: `memory`, `cpu,cpuacct`, `name=systemd`; empty for v2
  char directory[256]; // the container's cgroup on the host
  char name[64];       // the folder below /sys/fs/cgroup
};

struct container {
  const char *rootfs, *cgroup, *filter;
  char **command;
  int limits;
  char *files[maximumLimits], *values[maximumLimits];
  int limitCount;
  struct hierarchy hierarchies[maximumHierarchies];
  int hierarchyCount;
  int unified;  // index of the v2 hierarchy, or -1
  int ready[2]; // create: the init reports here
  int fifo;     // create: and waits here; -1 in run
  pid_t pid;    // of the state file
};

static void fail(const char *what) {
  dprintf(2, "floor: %s: %s\n", what, strerror(errno));
  _exit(1);
}

static void writeFile(const char *directory, const char *file, const char *text) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  CHECK(fd, path);
  CHECK(write(fd, text, strlen(text)), path);
  close(fd);
}

// ---- cgroups

// OPTIONS is the second field of a line of /proc/self/cgroup, empty for v2. In a pure v2 view the
// machine's v1 hierarchies still have their lines, and are mounted nowhere.
static void addHierarchy(struct container *c, const char *options, int pure) {
  struct hierarchy *h = &c->hierarchies[c->hierarchyCount];
  const char *name = strncmp(options, "name=", 5) == 0 ? options + 5 : options;
  if (*options == 0) {
    if (!pure && access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) < 0) return;
    name = pure ? "." : "unified";
    c->unified = c->hierarchyCount;
  } else if (pure) {
    return;
  }
  snprintf(h->options, sizeof h->options, "%s", options);
  snprintf(h->name, sizeof h->name, "%s", name);
  snprintf(h->directory, sizeof h->directory, "/sys/fs/cgroup/%s/%s", name, c->cgroup);
  c->hierarchyCount += 1;
}

static void readHierarchies(struct container *c) {
  static char text[4096];
  int pure = access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0;
  int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
  CHECK(fd, "/proc/self/cgroup");
  ssize_t length = read(fd, text, sizeof text - 1);
  CHECK(length, "/proc/self/cgroup");
  close(fd);
  char *save = NULL;
  for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
    char *options = strchr(line, ':');
    char *path = options ? strchr(options + 1, ':') : NULL;
    if (!path || c->hierarchyCount == maximumHierarchies) continue;
    *path = 0;
    addHierarchy(c, options + 1, pure);
  }
}

static const char *const deviceRules[] = {
  "c *:* m",   "b *:* m",   "c 1:3 rwm",   "c 1:5 rwm", "c 1:7 rwm",
  "c 1:8 rwm", "c 1:9 rwm", "c 136:* rwm", "c 5:0 rwm", "c 5:2 rwm",
};

#define INSN(op, d, s, o, i) \
  ((struct bpf_insn){.code = (op), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})

// The same rules as a BPF_PROG_TYPE_CGROUP_DEVICE program: r2 is the type, r3 the access, r4 and
// r5 the numbers.
static void attachDeviceProgram(const char *directory) {
  static const short numbers[][2] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {136, -1}, {5, 0}, {5, 2}};
  struct bpf_insn code[64];
  int n = 0;
  code[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 3, 1, 0, 0);
  code[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, 2, 3, 0, 0);
  code[n++] = INSN(BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
  code[n++] = INSN(BPF_ALU64 | BPF_RSH | BPF_K, 3, 0, 0, 16);
  code[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 4, 1, 4, 0);
  code[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 5, 1, 8, 0);
  code[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
  code[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, 3, 0, 1, BPF_DEVCG_ACC_MKNOD);
  code[n++] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  for (size_t i = 0; i < COUNT(numbers); i += 1) {
    int any = numbers[i][1] < 0;
    code[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, 2, 0, any ? 2 : 3, BPF_DEVCG_DEV_CHAR);
    code[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, 4, 0, any ? 1 : 2, numbers[i][0]);
    if (!any) code[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, 5, 0, 1, numbers[i][1]);
    code[n++] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  }
  code[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
  code[n++] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  union bpf_attr load = {0}, attach = {0};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = (uint64_t)(uintptr_t)code;
  load.insn_cnt = n;
  load.license = (uint64_t)(uintptr_t) "Apache";
  int program = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
  CHECK(program, "bpf BPF_PROG_LOAD");
  int cgroup = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
  CHECK(cgroup, directory);
  attach.target_fd = cgroup;
  attach.attach_bpf_fd = program;
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  CHECK(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach), "bpf BPF_PROG_ATTACH");
  close(cgroup);
  close(program);
}

// A new cpuset on v1 has no processors and no memory nodes, and nothing can join it.
static void copyCpuset(const char *directory, const char *file) {
  char path[512], text[256];
  snprintf(path, sizeof path, "%s/../%s", directory, file);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  CHECK(fd, path);
  ssize_t length = read(fd, text, sizeof text - 1);
  CHECK(length, path);
  text[length] = 0;
  close(fd);
  writeFile(directory, file, text);
}

static void limitOne(const struct hierarchy *h, int v2) {
  if (v2 || strstr(h->options, "memory"))
    writeFile(h->directory, v2 ? "memory.max" : "memory.limit_in_bytes", "67108864");
  if (v2 || strstr(h->options, "pids")) writeFile(h->directory, "pids.max", "64");
  if (v2) {
    writeFile(h->directory, "cpu.weight", "20");
    writeFile(h->directory, "cpu.max", "200000 100000");
  } else if (strcmp(h->options, "cpu") == 0 || strncmp(h->options, "cpu,", 4) == 0) {
    writeFile(h->directory, "cpu.shares", "512");
    writeFile(h->directory, "cpu.cfs_period_us", "100000");
    writeFile(h->directory, "cpu.cfs_quota_us", "200000");
  }
}

static int hasController(const struct hierarchy *h, const char *name, size_t length) {
  for (const char *at = h->options; *at; at += *at == ',') {
    size_t own = strcspn(at, ",");
    if (own == length && strncmp(at, name, length) == 0) return 1;
    at += own;
  }
  return 0;
}

// The hierarchy of the controller that FILE begins with.
static const struct hierarchy *hierarchyOf(const struct container *c, const char *file) {
  for (int i = 0; i < c->hierarchyCount; i += 1) {
    const struct hierarchy *h = &c->hierarchies[i];
    if (i == c->unified ? c->hierarchyCount == 1 : hasController(h, file, strcspn(file, "."))) return h;
  }
  errno = ENOENT;
  fail(file);
  return NULL;
}

static void makeCgroups(const struct container *c) {
  for (int i = 0; i < c->hierarchyCount; i += 1) {
    const struct hierarchy *h = &c->hierarchies[i];
    int pure = i == c->unified && c->hierarchyCount == 1;
    CHECK(mkdir(h->directory, 0755), h->directory);
    if (pure) attachDeviceProgram(h->directory);
    if (c->limits && (pure || i != c->unified)) limitOne(h, pure);
    if (strstr(h->options, "cpuset")) {
      copyCpuset(h->directory, "cpuset.cpus");
      copyCpuset(h->directory, "cpuset.mems");
    } else if (strstr(h->options, "devices")) {
      writeFile(h->directory, "devices.deny", "a");
      for (size_t r = 0; r < COUNT(deviceRules); r += 1)
        writeFile(h->directory, "devices.allow", deviceRules[r]);
    }
  }
  for (int i = 0; i < c->limitCount; i += 1)
    writeFile(hierarchyOf(c, c->files[i])->directory, c->files[i], c->values[i]);
}

static void joinCgroups(const struct container *c) {
  for (int i = 0; i < c->hierarchyCount; i += 1)
    if (i != c->unified) writeFile(c->hierarchies[i].directory, "tasks", "0");
}

static void removeCgroups(const struct container *c) {
  for (int i = 0; i < c->hierarchyCount; i += 1)
    CHECK(rmdir(c->hierarchies[i].directory), c->hierarchies[i].directory);
}

// ---- root file system, relative to the new root as working directory

static void mountOne(const char *type, const char *at, unsigned long flags, const char *data) {
  CHECK(mount(type, at, type, flags, data), at);
}

static void mountCgroups(const struct container *c) {
  unsigned long flags = MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RELATIME;
  if (c->unified == 0) {
    mountOne("cgroup2", "sys/fs/cgroup", flags | MS_RDONLY, NULL);
    return;
  }
  mountOne("tmpfs", "sys/fs/cgroup", flags, "mode=755");
  for (int i = 0; i < c->hierarchyCount; i += 1) {
    const struct hierarchy *h = &c->hierarchies[i];
    char at[128];
    snprintf(at, sizeof at, "sys/fs/cgroup/%s", h->name);
    CHECK(mkdir(at, 0755), at);
    mountOne(i == c->unified ? "cgroup2" : "cgroup", at, flags | MS_RDONLY, i == c->unified ? NULL : h->options);
  }
  mountOne("tmpfs", "sys/fs/cgroup", flags | MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

static void makeDevices(void) {
  static const struct {
    const char *name;
    int major, minor;
  } devices[] = {{"dev/null", 1, 3}, {"dev/zero", 1, 5},   {"dev/full", 1, 7},
                 {"dev/tty", 5, 0},  {"dev/random", 1, 8}, {"dev/urandom", 1, 9}};
  static const char *const links[][2] = {
    {"/proc/self/fd", "dev/fd"},        {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
    {"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"}};
  for (size_t i = 0; i < COUNT(devices); i += 1)
    CHECK(mknod(devices[i].name, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)), devices[i].name);
  for (size_t i = 0; i < COUNT(links); i += 1) CHECK(symlink(links[i][0], links[i][1]), links[i][1]);
}

static void maskPaths(void) {
  static const char *const masked[] = {
    "proc/acpi", "proc/asound", "proc/kcore", "proc/keys", "proc/latency_stats", "proc/timer_list",
    "proc/timer_stats", "proc/sched_debug", "sys/firmware", "proc/scsi"};
  static const char *const readOnly[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
  const char *empty = NULL;  // the first masked directory; a bind of it is cheaper than another tmpfs
  for (size_t i = 0; i < COUNT(masked); i += 1) {
    if (mount("dev/null", masked[i], NULL, MS_BIND, NULL) == 0 || errno == ENOENT) continue;
    if (errno != ENOTDIR) fail(masked[i]);
    if (empty)
      CHECK(mount(empty, masked[i], NULL, MS_BIND, NULL), masked[i]);
    else
      mountOne("tmpfs", empty = masked[i], MS_RDONLY, "size=0k");
  }
  for (size_t i = 0; i < COUNT(readOnly); i += 1) {
    if (mount(readOnly[i], readOnly[i], NULL, MS_BIND | MS_REC, NULL) < 0) {
      if (errno == ENOENT) continue;
      fail(readOnly[i]);
    }
    unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
    CHECK(mount(NULL, readOnly[i], NULL, flags, NULL), readOnly[i]);
  }
}

static void makeRoot(const struct container *c) {
  unsigned long plain = MS_NOSUID | MS_NOEXEC | MS_NODEV;
  CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / private");
  CHECK(mount(c->rootfs, c->rootfs, NULL, MS_BIND | MS_REC, NULL), c->rootfs);
  CHECK(chdir(c->rootfs), c->rootfs);
  mountOne("proc", "proc", 0, NULL);
  mountOne("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
  static const char *const folders[] = {"dev/pts", "dev/shm", "dev/mqueue"};
  for (size_t i = 0; i < COUNT(folders); i += 1) CHECK(mkdir(folders[i], 0755), folders[i]);
  mountOne("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
  mountOne("tmpfs", "dev/shm", plain, "mode=1777,size=65536k");
  mountOne("mqueue", "dev/mqueue", plain, NULL);
  mountOne("sysfs", "sys", plain | MS_RDONLY, NULL);
  mountCgroups(c);
  makeDevices();
  maskPaths();
  CHECK(mount(NULL, c->rootfs, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "make the root read-only");
  CHECK(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  CHECK(umount2(".", MNT_DETACH), "umount2 of the old root");
  CHECK(chdir("/"), "chdir /");
}

// ---- the process

static void setPrivileges(void) {
  static const int kept[] = {CAP_AUDIT_WRITE, CAP_KILL, CAP_NET_BIND_SERVICE};
  uint64_t mask = 0;
  for (size_t i = 0; i < COUNT(kept); i += 1) mask |= 1ull << kept[i];
  struct rlimit files = {1024, 1024};
  CHECK(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
  for (int i = 0; i <= CAP_LAST_CAP; i += 1)
    if (!(mask >> i & 1)) CHECK(prctl(PR_CAPBSET_DROP, i, 0, 0, 0), "PR_CAPBSET_DROP");
  CHECK(syscall(SYS_setgroups, 0, NULL), "setgroups");
  CHECK(syscall(SYS_setresgid, 0, 0, 0), "setresgid");
  CHECK(syscall(SYS_setresuid, 0, 0, 0), "setresuid");
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{mask, mask, 0}, {mask >> 32, mask >> 32, 0}};
  CHECK(syscall(SYS_capset, &header, data), "capset");
  CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "PR_CAP_AMBIENT_CLEAR_ALL");
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
}

static void installFilter(int fd) {
  static struct sock_filter code[BPF_MAXINSNS];
  ssize_t length = read(fd, code, sizeof code);
  CHECK(length, "seccomp filter file");
  struct sock_fprog program = {length / sizeof *code, code};
  CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

// Not in the configuration; every runtime does it for a new network namespace.
static void startLoopback(void) {
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK(fd, "socket");
  CHECK(ioctl(fd, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS of lo");
  close(fd);
}

static void initMain(const struct container *c) {
  umask(0);
  int filter = c->filter ? open(c->filter, O_RDONLY | O_CLOEXEC) : -1;
  if (c->filter) CHECK(filter, c->filter);
  joinCgroups(c);
  // Not a flag of clone3: the namespace's root is the cgroup of the caller.
  CHECK(unshare(CLONE_NEWCGROUP), "unshare CLONE_NEWCGROUP");
  CHECK(setsid(), "setsid");
  CHECK(sethostname("floor", 5), "sethostname");
  startLoopback();
  makeRoot(c);
  umask(022);
  CHECK(syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC), "close_range");
  setPrivileges();
  if (c->fifo >= 0) {
    char byte = 0;
    CHECK(write(c->ready[1], &byte, 1), "ready");
    CHECK(read(c->fifo, &byte, 1), "start fifo");
  }
  if (filter >= 0) installFilter(filter);
  char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", NULL};
  execve(c->command[0], c->command, environment);
  fail(c->command[0]);
}

static pid_t spawnInit(struct container *c) {
  readHierarchies(c);
  makeCgroups(c);
  struct clone_args arguments = {
    .flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET,
    .exit_signal = SIGCHLD,
  };
  int cgroup = -1;
  if (c->unified >= 0) {
    cgroup = open(c->hierarchies[c->unified].directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(cgroup, c->hierarchies[c->unified].directory);
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = cgroup;
  }
  pid_t pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  CHECK(pid, "clone3");
  if (pid == 0) initMain(c);
  if (cgroup >= 0) close(cgroup);
  return pid;
}

static int run(struct container *c) {
  int status;
  pid_t pid = spawnInit(c);
  CHECK(waitpid(pid, &status, 0), "waitpid");
  removeCgroups(c);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// ---- separate commands: STATE holds a fifo and one line `pid cgroup`

static int create(struct container *c, const char *state) {
  char line[512], byte;
  CHECK(mkdir(state, 0700), state);
  CHECK(chdir(state), state);
  CHECK(mkfifo("start", 0600), "mkfifo");
  c->fifo = open("start", O_RDWR | O_CLOEXEC);
  CHECK(c->fifo, "start fifo");
  CHECK(pipe2(c->ready, O_CLOEXEC), "pipe2");
  pid_t pid = spawnInit(c);
  close(c->ready[1]);
  if (read(c->ready[0], &byte, 1) != 1) return 1;  // the init has said why
  int fd = open("state", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  CHECK(fd, "state file");
  CHECK(write(fd, line, snprintf(line, sizeof line, "%d %s\n", pid, c->cgroup)), "state file");
  return 0;
}

static int start(void) {
  int fd = open("start", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  CHECK(fd, "start fifo");
  CHECK(write(fd, "", 1), "start fifo");
  return 0;
}

// Reads the state file, prints one line and says whether the process lives.
static int readState(struct container *c, int print) {
  static char text[512];
  char path[64], stat[512];
  int fd = open("state", O_RDONLY | O_CLOEXEC);
  CHECK(fd, "state file");
  CHECK(read(fd, text, sizeof text - 1), "state file");
  char *cgroup = strchr(text, ' ');
  if (!cgroup) return -1;
  *cgroup++ = 0;
  cgroup[strcspn(cgroup, "\n")] = 0;
  c->cgroup = cgroup;
  c->pid = atoi(text);
  snprintf(path, sizeof path, "/proc/%.20s/stat", text);
  int process = open(path, O_RDONLY | O_CLOEXEC);
  int lives = process >= 0 && read(process, stat, sizeof stat) > 0;
  if (print)
    dprintf(1, "{\"pid\": %s, \"status\": \"%s\"}\n", text, lives ? "created" : "stopped");
  return lives;
}

// Born in the cgroup and in the namespaces of the container's process; a second process because of the pid namespace.
static int exec(struct container *c, char **command) {
  if (readState(c, 0) <= 0) return 1;
  readHierarchies(c);
  int process = syscall(SYS_pidfd_open, c->pid, 0), status;
  CHECK(process, "pidfd_open");
  int cgroup = c->unified < 0 ? -1 : open(c->hierarchies[c->unified].directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  joinCgroups(c);
  CHECK(setns(process, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP), "setns");
  struct clone_args arguments = {.exit_signal = SIGCHLD};
  if (cgroup >= 0) arguments.flags = CLONE_INTO_CGROUP, arguments.cgroup = cgroup;
  pid_t pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  CHECK(pid, "clone3");
  if (pid == 0) {
    char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", NULL};
    CHECK(setsid(), "setsid");
    CHECK(syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC), "close_range");
    setPrivileges();
    execve(command[0], command, environment);
    fail(command[0]);
  }
  CHECK(waitpid(pid, &status, 0), "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int openProcess(const struct container *c) {
  int process = syscall(SYS_pidfd_open, c->pid, 0);
  CHECK(process, "pidfd_open");
  CHECK(syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0), "pidfd_send_signal");
  return process;
}

static int kill9(struct container *c) {
  if (readState(c, 0) <= 0) return 1;
  readHierarchies(c);
  openProcess(c);
  int pure = c->unified == 0 && c->hierarchyCount == 1;
  const char *file = pure ? "cpu.max" : "cpu.cfs_quota_us";
  char path[512], text[64] = "";
  const char *directory = hierarchyOf(c, file)->directory;
  snprintf(path, sizeof path, "%s/%s", directory, file);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  CHECK(fd, path);
  CHECK(read(fd, text, sizeof text - 1), path);
  if (*text != '-' && *text != 'm') writeFile(directory, file, pure ? "max" : "-1");
  return 0;
}

static int delete(struct container *c, const char *state, int force) {
  int lives = readState(c, 0);
  if (lives && !force) {
    dprintf(2, "floor: %s: the process lives\n", state);
    return 1;
  }
  if (lives) {
    struct pollfd process = {openProcess(c), POLLIN, 0};
    CHECK(poll(&process, 1, -1), "poll");
  }
  readHierarchies(c);
  removeCgroups(c);
  CHECK(unlink("state"), "state file");
  CHECK(unlink("start"), "start fifo");
  CHECK(rmdir(state), state);
  return 0;
}

int main(int count, char **arguments) {
  struct container c = {.unified = -1, .fifo = -1};
  int i = 1;
  for (; i < count && arguments[i][0] == '-'; i += 1) {
    if (strcmp(arguments[i], "--limits") == 0)
      c.limits = 1;
    else if (strcmp(arguments[i], "--filter") == 0 && i + 1 < count)
      c.filter = arguments[++i];
    else if (strcmp(arguments[i], "--limit") == 0 && i + 1 < count && c.limitCount < maximumLimits) {
      c.files[c.limitCount] = strsep(&arguments[++i], "=");
      c.values[c.limitCount++] = arguments[i] ? arguments[i] : "";
    }
  }
  int left = count - i;
  const char *verb = left > 0 ? arguments[i] : "";
  if (left >= 4 && strcmp(verb, "run") == 0) {
    c.rootfs = arguments[i + 1], c.cgroup = arguments[i + 2], c.command = arguments + i + 3;
    return run(&c);
  }
  if (left >= 5 && strcmp(verb, "create") == 0) {
    c.rootfs = arguments[i + 2], c.cgroup = arguments[i + 3], c.command = arguments + i + 4;
    return create(&c, arguments[i + 1]);
  }
  if (left >= 3 && strcmp(verb, "exec") == 0) {
    CHECK(chdir(arguments[i + 1]), arguments[i + 1]);
    return exec(&c, arguments + i + 2);
  }
  if (left == 3 && strcmp(verb, "kill") == 0 && strcmp(arguments[i + 2], "KILL") == 0) {
    CHECK(chdir(arguments[i + 1]), arguments[i + 1]);
    return kill9(&c);
  }
  if (left == 3 && strcmp(verb, "delete") == 0 && strcmp(arguments[i + 1], "--force") == 0) {
    CHECK(chdir(arguments[i + 2]), arguments[i + 2]);
    return delete (&c, arguments[i + 2], 1);
  }
  if (left == 2) {
    CHECK(chdir(arguments[i + 1]), arguments[i + 1]);
    if (strcmp(verb, "start") == 0) return start();
    if (strcmp(verb, "state") == 0) return readState(&c, 1) < 0;
    if (strcmp(verb, "delete") == 0) return delete (&c, arguments[i + 1], 0);
  }
  dprintf(2, "usage: floor [--limits] [--filter FILE] run|create|start|state|exec|kill|delete …\n");
  return 2;
}
