// Between clone and execve of a parent that may have threads, with the parent's memory shared: only system calls, no
// allocation, no locks, nothing that is not async-signal-safe (vfork(2), signal-safety(7)).
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// 1024 that are passed on, and those of the init stage.
enum { first_descriptor = 3, most_descriptors = 1100, most_of_program = 16, stack_size = 32 * 1024 };

struct request {
  int executable;
  char *const *arguments;
  char *const *environment;
  const int *descriptors;
  int count;
  int64_t failure;
};

struct program_request {
  const struct apus_program *program;
  int64_t failure;
};

static int child(void *argument) {
  struct request *request = argument;
  int moved[most_descriptors + 1];
  long failed = 0;
  // First out of the way of the numbers 3..., then down to them: dup3 clears close-on-exec on the copy.
  int above = first_descriptor + request->count + 1;
  for (int i = 0; i <= request->count && !failed; i++) {
    int from = i < request->count ? request->descriptors[i] : request->executable;
    long result = syscall(SYS_fcntl, from, F_DUPFD_CLOEXEC, above);
    if (result < 0) failed = errno;
    moved[i] = (int)result;
  }
  for (int i = 0; i < request->count && !failed; i++)
    if (syscall(SYS_dup3, moved[i], first_descriptor + i, 0) < 0) failed = errno;
  // Whatever the embedding program left open without close-on-exec does not reach the init stage.
  if (!failed && syscall(SYS_close_range, first_descriptor + request->count, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
    failed = errno;
  if (!failed) {
    syscall(SYS_execveat, moved[request->count], "", request->arguments, request->environment, AT_EMPTY_PATH);
    failed = errno;
  }
  request->failure = failed;
  syscall(SYS_exit_group, 127);
  return 127;
}

// Nothing of the mounts that a program makes there, or that are made for it, reaches the caller.
static long private_root(const struct apus_program *program) {
  if (syscall(SYS_unshare, CLONE_NEWNS) < 0) return errno;
  if (syscall(SYS_mount, NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) return errno;
  if (syscall(SYS_mount, program->root_source, program->root_target, NULL, MS_BIND | MS_REC, NULL) < 0) return errno;
  return 0;
}

static long enter_cgroups(const struct apus_program *program) {
  for (int i = 0; i < program->cgroup_count; i++) {
    long file = syscall(SYS_openat, AT_FDCWD, program->cgroups[i], O_WRONLY | O_CLOEXEC, 0);
    if (file < 0) return errno;
    long written = syscall(SYS_write, file, "0", 1);
    long failed = written < 0 ? errno : 0;
    syscall(SYS_close, file);
    if (failed) return failed;
  }
  if (program->new_cgroup_namespace && syscall(SYS_unshare, CLONE_NEWCGROUP) < 0) return errno;
  return 0;
}

// Hooks get nothing of the parent but what is named: no descriptor, no signal action, no mask.
static int program_child(void *argument) {
  struct program_request *request = argument;
  const struct apus_program *program = request->program;
  int moved[3 + most_of_program];
  int count = 3 + program->descriptor_count;
  long failed = 0;
  // A group of its own, so that whatever it starts can be ended with it.
  if (!program->keeps_group && syscall(SYS_setpgid, 0, 0) < 0) failed = errno;
  if (!failed && program->directory >= 0 && syscall(SYS_fchdir, program->directory) < 0) failed = errno;
  if (program->umask >= 0) syscall(SYS_umask, program->umask);
  if (!failed) failed = enter_cgroups(program);
  if (!failed && program->root_source) failed = private_root(program);
  // KEYCTL_JOIN_SESSION_KEYRING
  if (!failed && program->keyring && syscall(SYS_keyctl, 1, program->keyring) < 0 && errno != ENOSYS) failed = errno;
  for (int i = 0; i < count && !failed; i++) {
    int from = i < 3 ? program->standard[i] : program->descriptors[i - 3];
    long result = syscall(SYS_fcntl, from, F_DUPFD_CLOEXEC, count);
    if (result < 0) failed = errno;
    moved[i] = (int)result;
  }
  for (int i = 0; i < count && !failed; i++)
    if (syscall(SYS_dup3, moved[i], i, 0) < 0) failed = errno;
  if (!failed && syscall(SYS_close_range, count, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0) failed = errno;
  for (int i = 0; i < program->limit_count && !failed; i++)
    if (syscall(SYS_prlimit64, 0, program->limits[i].resource, program->limits[i].values, NULL) < 0) failed = errno;
  if (!failed) {
    // The table of actions is this process's own (no CLONE_SIGHAND). Before the mask opens, or a handler of the parent
    // would run here.
    uint64_t none = 0;
    for (int signal = 1; signal <= 64; signal++) sys_signal_default(signal);
    sys_sigprocmask(SIG_SETMASK, &none, NULL);
    // By path and not by descriptor: a script is opened again by its interpreter.
    syscall(SYS_execve, program->path, program->arguments, program->environment);
    failed = errno;
  }
  request->failure = failed;
  syscall(SYS_exit_group, 127);
  return 127;
}

// clone3(2) in the way of vfork(2): the child goes on below this frame on the stack of the caller, which is suspended and
// finds the frame as it left it. So the child must not return from here, and the call is made in place: coming back from a
// function of its own, the child would overwrite where the caller returns to.
static __attribute__((noinline)) int64_t clone_into(int cgroup, int (*child)(void *), void *request, int *pidfd) {
  struct apus_clone_args arguments = {
      .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | 0x200000000 /* CLONE_INTO_CGROUP */,
      .pidfd = (uintptr_t)pidfd,
      .exit_signal = SIGCHLD,
      .cgroup = (uint64_t)cgroup,
  };
#if defined(__x86_64__)
  register long result __asm__("rax") = SYS_clone3;
  register void *first __asm__("rdi") = &arguments;
  register long second __asm__("rsi") = sizeof arguments;
  __asm__ volatile("syscall" : "+r"(result) : "r"(first), "r"(second) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_clone3;
  register long result __asm__("x0") = (long)&arguments;
  register long second __asm__("x1") = sizeof arguments;
  __asm__ volatile("svc 0" : "+r"(result) : "r"(number), "r"(second) : "memory");
#else
#error "clone3 for this machine"
#endif
  if (result == 0) {
    child(request);
    __builtin_trap();
  }
  return result;
}

// Runs `child` up to its execve, with this frame as its stack. `failure` is where it says why there was none.
static int64_t start(int (*child)(void *), void *request, const int64_t *failure, int cgroup, int *pidfd) {
  uint64_t all = ~(uint64_t)0, old = 0;
  _Alignas(16) char stack[stack_size];
  // A handler of the parent must not run in memory that both share: every signal stays blocked in the child, and the
  // program that it becomes lets them in again.
  // CLONE_VFORK suspends the caller until execve, so the stack of this frame may serve as the child's.
  sys_sigprocmask(SIG_SETMASK, &all, &old);
  int64_t result;
  if (cgroup >= 0) {
    result = clone_into(cgroup, child, request, pidfd);
  } else {
    int pid = clone(child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, request, pidfd);
    result = pid < 0 ? -(int64_t)errno : pid;
  }
  sys_sigprocmask(SIG_SETMASK, &old, NULL);
  if (result > 0 && *failure) {
    // Nobody else knows of the child: it is reaped here.
    struct apus_wait_result ignored;
    sys_waitid(1 /* P_PID */, (int)result, &ignored, 4 /* WEXITED */);
    sys_close(*pidfd);
    return -*failure;
  }
  return result;
}

int64_t apus_spawn(int executable, char *const *arguments, char *const *environment, const int *descriptors,
                   int count, int cgroup, int *pidfd) {
  if (count > most_descriptors) return -(int64_t)EINVAL;
  struct request request = {executable, arguments, environment, descriptors, count, 0};
  return start(child, &request, &request.failure, cgroup, pidfd);
}

int64_t apus_spawn_program(const struct apus_program *program, int *pidfd) {
  if (program->descriptor_count > most_of_program) return -(int64_t)EINVAL;
  struct program_request request = {program, 0};
  return start(program_child, &request, &request.failure, -1, pidfd);
}

struct restriction_request {
  int mounts;
  const struct apus_restriction *list;
  int count;
  int64_t failure;
};

// In a child, because a process with threads cannot change its mount namespace.
static int restriction_child(void *argument) {
  struct restriction_request *request = argument;
  // RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
  struct apus_open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = 0x10 | 0x04 | 0x02};
  long failed = syscall(SYS_setns, request->mounts, CLONE_NEWNS) < 0 ? errno : 0;
  for (int i = 0; i < request->count && !failed; i++) {
    struct apus_mount_attr attributes = {.attr_set = request->list[i].attributes};
    // The working directory is the root of the namespace now.
    long file = syscall(SYS_openat2, AT_FDCWD, request->list[i].path, &how, sizeof how);
    if (file < 0 || syscall(SYS_mount_setattr, file, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
      failed = errno;
    if (file >= 0) syscall(SYS_close, file);
  }
  request->failure = failed;
  syscall(SYS_exit_group, 0);
  return 0;
}

// Starts a child that is no program, and waits for its end.
static int64_t run(int (*child)(void *), void *request, const int64_t *failure) {
  int pidfd = -1;
  int64_t result = start(child, request, failure, -1, &pidfd);
  if (result < 0) return result;
  struct apus_wait_result ignored;
  sys_waitid(1 /* P_PID */, (int)result, &ignored, 4 /* WEXITED */);
  sys_close(pidfd);
  return 0;
}

int64_t apus_restrict_mounts(int mounts, const struct apus_restriction *list, int count) {
  struct restriction_request request = {mounts, list, count, 0};
  return run(restriction_child, &request, &request.failure);
}

struct interface_request {
  int network;
  const char *name;
  int64_t failure;
};

static int interface_child(void *argument) {
  struct interface_request *request = argument;
  int64_t result = sys_setns(request->network, CLONE_NEWNET);
  if (result >= 0) result = sys_socket(2 /* AF_INET */, 2 /* SOCK_DGRAM */, 0);
  if (result >= 0) result = sys_interface_up((int)result, request->name);
  if (result < 0) request->failure = -result;
  syscall(SYS_exit_group, 0);
  return 0;
}

int64_t apus_interface_up(int network, const char *name) {
  struct interface_request request = {network, name, 0};
  return run(interface_child, &request, &request.failure);
}

int64_t apus_spawn_idle(int *pidfd) {
  // A copy and not one that shares the memory: in a cgroup with a low limit the kernel's out-of-memory killer ends everybody
  // who has the memory of the process that it chose, and that would be the caller.
  struct apus_clone_args arguments = {
      .flags = CLONE_PIDFD, .pidfd = (uintptr_t)pidfd, .exit_signal = SIGCHLD};
  uint64_t all = ~(uint64_t)0, old = 0;
  long parent = syscall(SYS_getpid);
  sys_sigprocmask(SIG_SETMASK, &all, &old);
  int64_t result = sys_clone3(&arguments);
  if (result != 0) {
    sys_sigprocmask(SIG_SETMASK, &old, NULL);
    return result;
  }
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  syscall(SYS_close_range, 0, ~0u, 0);
  // Whoever died before the first line is nobody's parent any more.
  if (syscall(SYS_getppid) == parent)
    for (;;) syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
  syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}
