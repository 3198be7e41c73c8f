#include "IntegrationSupport.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>

int support_notification(int listener, unsigned long long *identity, int *process, int *number) {
  struct seccomp_notif question;
  memset(&question, 0, sizeof question);
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question)) return -1;
  *identity = question.id;
  *process = (int)question.pid;
  *number = question.data.nr;
  return 0;
}

int support_answer(int listener, unsigned long long identity, long long value, int error, int goes_on) {
  struct seccomp_notif_resp answer = {
    .id = identity, .val = value, .error = -error, .flags = goes_on ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0};
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

int support_still_waits(int listener, unsigned long long identity) {
  __u64 asked = identity;
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked);
}
