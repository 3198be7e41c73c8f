// What the containers of a pod share: the objects of System V and POSIX, and the ports of localhost.
#define _GNU_SOURCE
#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

enum { objectKey = 0x61707573 };

static int makeObjects(void) {
  int memory = shmget(objectKey, 4096, IPC_CREAT | IPC_EXCL | 0600);
  char *text = memory < 0 ? (char *)-1 : shmat(memory, NULL, 0);
  if (text == (char *)-1) return perror("shm"), 1;
  strcpy(text, "of the pod");
  int semaphore = semget(objectKey, 1, IPC_CREAT | IPC_EXCL | 0600);
  if (semaphore < 0 || semctl(semaphore, 0, SETVAL, 42)) return perror("sem"), 1;
  struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
  mqd_t queue = mq_open("/pod", O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC, 0600, &attributes);
  // One for each that looks.
  for (int index = 0; index < 4; index++) {
    if (queue < 0 || mq_send(queue, "from the pod", 13, 0)) return perror("mq"), 1;
  }
  return puts("made"), 0;
}

static int findObjects(void) {
  char message[64] = "";
  int memory = shmget(objectKey, 0, 0), semaphore = semget(objectKey, 0, 0);
  char *text = memory < 0 ? (char *)-1 : shmat(memory, NULL, SHM_RDONLY);
  mqd_t queue = mq_open("/pod", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (queue >= 0 && mq_receive(queue, message, sizeof message, NULL) < 0) strcpy(message, "none left");
  jsonOpen('{');
  keyString("memory", text == (char *)-1 ? "" : text);
  keyNumber("semaphore", semaphore < 0 ? -1 : semctl(semaphore, 0, GETVAL));
  keyString("message", message);
  jsonClose('}');
  jsonLine();
  return 0;
}

/// `make`: a shared memory, a semaphore and a message queue; anything else: what is in those that are there.
int shareIPC(const char *what) { return strcmp(what, "make") ? findObjects() : makeObjects(); }

static int answer(int handle, struct sockaddr_in *address, const char *text) {
  if (bind(handle, (struct sockaddr *)address, sizeof *address) || listen(handle, 8)) return perror("bind"), 1;
  puts("ready");
  fflush(stdout);
  for (;;) {
    int client = accept4(handle, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0 || write(client, text, strlen(text)) < 0) return perror("accept"), 1;
    close(client);
  }
}

/// `answer`: gives `text` to everybody who comes to a port of 127.0.0.1; anything else: prints what one gets there.
int port(const char *what, int number, const char *text) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)number), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (!strcmp(what, "answer")) return answer(handle, &address, text);
  if (connect(handle, (struct sockaddr *)&address, sizeof address)) return perror("connect"), 1;
  char bytes[256];
  ssize_t count = read(handle, bytes, sizeof bytes - 1);
  bytes[count < 0 ? 0 : count] = 0;
  return puts(bytes), 0;
}
