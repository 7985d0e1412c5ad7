// The floor: what the system itself costs a datagram. Sends each one back as it came, 64 a call.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BATCH = 64, MAX_QUERY = 512 };

int main(int argc, char **argv) {
  static uint8_t queries[BATCH][MAX_QUERY];
  static struct sockaddr_in askers[BATCH];
  static struct iovec octets[BATCH];
  static struct mmsghdr messages[BATCH];
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_port = htons((uint16_t)(argc == 2 ? atoi(argv[1]) : 0));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
    perror("Cannot listen");
    return 1;
  }
  for (int i = 0; i < BATCH; i++) {
    messages[i].msg_hdr.msg_name = &askers[i];
    messages[i].msg_hdr.msg_iov = &octets[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  for (;;) {
    for (int i = 0; i < BATCH; i++) {
      octets[i] = (struct iovec){queries[i], MAX_QUERY};
      messages[i].msg_hdr.msg_namelen = sizeof askers[i];
    }
    int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    for (int i = 0; i < count; i++) octets[i].iov_len = messages[i].msg_len;
    for (int sent = 0; sent < count;) {
      int more = sendmmsg(fd, messages + sent, (unsigned)(count - sent), 0);
      sent += more > 0 ? more : 1;
    }
  }
}
