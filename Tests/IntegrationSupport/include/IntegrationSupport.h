// Calls that the harness of the integration tests needs and Swift cannot reach: variadic ones, and newer ones.
#ifndef INTEGRATION_SUPPORT_H
#define INTEGRATION_SUPPORT_H

/// PR_SET_CHILD_SUBREAPER: containers that outlive the runtime become children of this process.
int support_become_subreaper(void);

/// pidfd_open(2); the descriptor is readable once the process has ended.
int support_pidfd_open(int pid);

/// A process with `descriptors` as its descriptors 0, 1, 2, …, and no others; its id, or the negated errno.
int support_spawn(
  const char *path, char *const arguments[], char *const environment[], const char *directory,
  const int *descriptors, int count);

/// pipe2(2), close-on-exec.
int support_pipe(int ends[2]);

/// A file in memory that holds `length` bytes, read from its beginning.
int support_memory_file(const void *bytes, unsigned long length);

/// open(2) of a named pipe or file without waiting for the other end.
int support_open_nonblocking(const char *path, int flags);

/// fcntl(2) F_SETFL O_NONBLOCK.
int support_set_nonblocking(int descriptor);

/// mount(2) and umount2(2), which the Glibc module leaves out.
int support_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data);
int support_unmount(const char *target);

/// MS_SHARED on a mount point.
int support_make_shared(const char *target);

/// lsetxattr(2) of a text.
int support_set_attribute(const char *path, const char *name, const char *value);

/// Everything that lstat(2) and the extended attributes say of the file itself, but for the time of the last access, as
/// one line in `text`; or the negated errno.
int support_describe(const char *path, char *text, unsigned long size);

/// A socket of this type bound to a path, or an abstract name behind `@`, listening with `backlog` if that is not negative and it has connections;
/// -1 and errno on failure.
int support_unix_socket(const char *path, int type, int backlog);

/// A stream connected to a path; -1 and errno on failure.
int support_unix_connect(const char *path);

/// accept4(2), close-on-exec.
int support_accept(int handle);

/// recvmsg(2) with at most one descriptor; `passed` is -1 where none came.
long support_receive(int handle, void *bytes, unsigned long count, int *passed);

/// A new pseudoterminal: its master, and its slave in `slave`; -1 and errno on failure.
int support_open_terminal(int *slave);

/// The size of a terminal in characters.
int support_set_size(int terminal, int rows, int columns);
int support_size(int terminal, int *rows, int *columns);

/// The flags of a terminal: input, output, control, local.
int support_settings(int terminal, unsigned flags[4]);

/// The exit code of a wait status, or 128 plus the number of the signal.
int support_exit_code(int status);

/// A descriptor of the user namespace that the namespace behind `handle` belongs to; -1 and errno on failure.
int support_namespace_owner(int handle);

/// The next system call that a seccomp listener is asked about: which, of which process, and the identity of the question; -1
/// and errno on failure.
int support_notification(int listener, unsigned long long *identity, int *process, int *number);

/// The answer: what the call returns, or the errno that it fails with. With `goes_on` the kernel carries it out.
int support_answer(int listener, unsigned long long identity, long long value, int error, int goes_on);

/// Whether the process still waits for the answer: 0, or -1 and errno.
int support_still_waits(int listener, unsigned long long identity);

#endif
