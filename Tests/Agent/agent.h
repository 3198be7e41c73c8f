// What the files of the agent share: a JSON writer on standard output, and small helpers.
#ifndef AGENT_H
#define AGENT_H

#include <stdbool.h>
#include <stddef.h>

extern int argumentCount;
extern char **arguments;

void jsonString(const char *text);
void jsonKey(const char *name);
void jsonNumber(long long value);
void jsonBool(bool value);
void jsonNull(void);
void jsonOpen(char bracket);
void jsonClose(char bracket);
void jsonLine(void);
void keyString(const char *name, const char *value);
void keyNumber(const char *name, long long value);
void keyError(int error);

/// The whole text of a file, in one buffer that the next call overwrites; NULL when it cannot be opened.
char *readWhole(const char *path);
/// The sorted names in a folder, at most `limit`.
size_t listNames(const char *path, char **names, size_t limit);
void statObject(const char *path);
void keyListing(const char *name, const char *path);

/// Before anything else is opened: what the runtime passed on.
void rememberDescriptors(void);
int report(int count, char **names);
/// One line of mountinfo, which is cut into its words.
void mountObject(char *line);

/// What a mount lets a process do, and the files that are needed to try it.
int probe(int count, char **paths);
int makeFixtures(const char *directory);
int identity(void);
int tree(const char *path);
int serveFileSystem(const char *path, const char *options);

/// Scheduling, priorities, memory policy, execution domain and session keyring; attributes.c.
void sectionAttributes(void);

// terminal.c
void sectionTerminal(void);
int watchSize(void);

// pod.c
int shareIPC(const char *what);
int port(const char *what, int number, const char *text);

// attempt.c
int attempts(int count, char **words);
int listenAt(const char *name, int handsOver);

// processes.c
int runAway(int count);
int holdLock(const char *path);
int forkBomb(int most);
int bornAs(int pid);

// spy.c
int spy(void);

// calls.c
int tryCalls(int count, char **words);
/// Becomes a program for which the call of this number is EPERM.
int executeWithout(int number, char **words);

// notify.c
int notify(int count, char **texts);

#endif
