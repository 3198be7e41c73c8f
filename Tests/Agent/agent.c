// A static program that runs inside the containers of the integration tests and says what it sees there.
//
//   agent report [SECTION...]    one JSON object; without a section all of them
//   agent VERB [ARGUMENT...]     one small action; `agent help` lists them
//
// It is linked statically, so that it works in an empty root file system, and it trusts nothing but the
// kernel: what /proc might hide (a container without /proc) is asked by system call where that is possible.
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

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
  jsonLine();
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
  int number;
  // The freezer of cgroup v2 interrupts it.
  do number = sigwaitinfo(&all, &information);
  while (number < 0);
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
  jsonLine();
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
      long result = syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
      outcome("setattr tree", result);
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

// The second half of CVE-2019-5736: what a waiting init runs from is held open, and written to as soon as no process
// runs from it any more.
static int holdExecutable(const char *pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/exe", pid);
  int handle = open(path, O_RDONLY | O_CLOEXEC), file = -1;
  if (handle < 0) return outcome("open", handle);
  snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
  say("holding\n");
  for (int attempt = 0; attempt < 2000 && file < 0; attempt++) {
    file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 && errno != ETXTBSY) break;
    usleep(1000);
  }
  outcome("open write", file);
  if (file >= 0) outcome("write", write(file, "overwritten", 11));
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
  return outcome(name, syscall(SYS_chmod, name, 0700));
}

static int tryDevice(const char *path, const char *kind, const char *numbers) {
  unsigned first = 0, second = 0;
  sscanf(numbers, "%u:%u", &first, &second);
  mode_t type = *kind == 'b' ? S_IFBLK : S_IFCHR;
  outcome("mknod", mknod(path, type | 0666, makedev(first, second)));
  outcome("open read", open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  outcome("open write", open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  return 0;
}

// What the device controller lets this process do with nodes of these numbers (`c10:229`): a line for each, with a letter
// for what is not denied: m to make it, r to read, w to write, b for both at once. Most have no driver.
static int tryDevices(int count, char **devices) {
  for (int index = 0; index < count; index++) {
    unsigned first = 0, second = 0;
    sscanf(devices[index] + 1, "%u:%u", &first, &second);
    mode_t type = *devices[index] == 'b' ? S_IFBLK : S_IFCHR;
    const char *path = "/tmp/device";
    int flags[] = {O_RDONLY, O_WRONLY, O_RDWR};
    bool made = !mknod(path, type | 0666, makedev(first, second));
    say("%s %s", devices[index], made ? "m" : "");
    for (int way = 0; made && way < 3; way++) {
      int file = open(path, flags[way] | O_NONBLOCK | O_CLOEXEC);
      if (file >= 0 || errno != EPERM) say("%c", "rwb"[way]);
      if (file >= 0) close(file);
    }
    say("\n");
    unlink(path);
  }
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

static volatile sig_atomic_t isOver;

static void end(int number) {
  (void)number;
  isOver = 1;
}

// Two names after the other change places until SIGTERM comes: what a shared volume may do to a runtime that looks a
// path up twice. A name that is not there just now is there in a moment.
static int exchange(int count, char **names) {
  struct sigaction action = {.sa_handler = end};
  sigaction(SIGTERM, &action, NULL);
  long done = 0;
  say("ready\n");
  // By turns as fast as it goes and with pauses of up to 3 ms, which leave time for a few steps of the victim.
  for (long turn = 0; !isOver; turn++) {
    if (turn % 10000 >= 9900) usleep((useconds_t)(random() % 3000));
    for (int index = 0; index + 1 < count; index += 2) {
      if (!syscall(SYS_renameat2, AT_FDCWD, names[index], AT_FDCWD, names[index + 1], 2 /* RENAME_EXCHANGE */)) done++;
      else if (errno != ENOENT) return outcome("exchange", -1), 1;
    }
  }
  say("exchanged %ld\n", done);
  return 0;
}

// What root may do to the inode behind a standard stream or a masked file.
static int changeOwner(const char *path) {
  outcome("chmod", chmod(path, 0600));
  outcome("chown", chown(path, 1, 1));
  outcome("utimensat", utimensat(AT_FDCWD, path, NULL, 0));
  return 0;
}

// A mount made in a mount namespace of a child's own, as a nested container makes its mounts.
static int nestedMount(const char *path) {
  pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWNS) || mount("nested", path, "tmpfs", 0, NULL) ? 1 : 0);
  int status = 0;
  waitpid(child, &status, 0);
  return outcome("nested", status ? -1 : 0);
}

static int help(void) {
  puts("report exit signal wait pause children fork-limit memory open write read stat remount "
       "overwrite hold syscall calls device devices shm mount exchange change size notify nested fixtures probe identity "
       "tree fuse ipc port run-away bomb born spy attempt listen without");
  return 2;
}

int main(int count, char **words) {
  argumentCount = count;
  arguments = words;
  if (count < 2) return help();
  const char *verb = words[1], *first = count > 2 ? words[2] : "", *second = count > 3 ? words[3] : "";
  // For nobody else: it takes 65536 system calls, which a tracer makes minutes of.
  if (!strcmp(verb, "report")) return rememberDescriptors(), report(count - 2, words + 2);
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
  if (!strcmp(verb, "stat")) return statObject(first), jsonLine(), 0;
  if (!strcmp(verb, "remount")) return tryRemount(first);
  if (!strcmp(verb, "overwrite")) return overwriteExecutable(first);
  if (!strcmp(verb, "hold")) return holdExecutable(first);
  if (!strcmp(verb, "syscall")) return trySyscall(first);
  if (!strcmp(verb, "calls")) return tryCalls(count - 2, words + 2);
  if (!strcmp(verb, "device")) return tryDevice(first, second, count > 4 ? words[4] : "");
  if (!strcmp(verb, "devices")) return tryDevices(count - 2, words + 2);
  if (!strcmp(verb, "shm")) return sharedMemory();
  if (!strcmp(verb, "mount")) return outcome("mount", mount("tmpfs", first, "tmpfs", 0, NULL));
  if (!strcmp(verb, "exchange")) return exchange(count - 2, words + 2);
  if (!strcmp(verb, "size")) return watchSize();
  if (!strcmp(verb, "notify")) return notify(count - 2, words + 2);
  if (!strcmp(verb, "change")) return changeOwner(first);
  if (!strcmp(verb, "nested")) return nestedMount(first);
  if (!strcmp(verb, "fixtures")) return makeFixtures(first);
  if (!strcmp(verb, "probe")) return probe(count - 2, words + 2);
  if (!strcmp(verb, "identity")) return identity();
  if (!strcmp(verb, "fuse")) return serveFileSystem(first, second);
  if (!strcmp(verb, "tree")) return tree(first);
  if (!strcmp(verb, "ipc")) return shareIPC(first);
  if (!strcmp(verb, "port")) return port(first, atoi(second), count > 4 ? words[4] : "");
  if (!strcmp(verb, "attempt")) return attempts(count - 2, words + 2);
  if (!strcmp(verb, "listen")) return listenAt(first, count > 3);
  if (!strcmp(verb, "without")) return executeWithout(atoi(first), words + 3);
  if (!strcmp(verb, "run-away")) return runAway(atoi(first));
  if (!strcmp(verb, "spy")) return spy();
  if (!strcmp(verb, "bomb")) return forkBomb(atoi(first));
  if (!strcmp(verb, "lock")) return holdLock(first);
  if (!strcmp(verb, "born")) return bornAs(atoi(first));
  return help();
}
