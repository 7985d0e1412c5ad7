// Connections that are kept full of queries (RFC 7766): half a window is written when half of it has been
// answered. Whole answers are counted.
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_WINDOW = 1024, MAX_MESSAGE = 65535 + 2, IN_OCTETS = 4 * MAX_MESSAGE };
enum { OUT_OCTETS = MAX_WINDOW * 300, EVENTS = 64 };

struct connection {
  int socket;
  uint64_t sent;
  uint64_t answered;
  /** By id, which is below MAX_WINDOW: answers may overtake each other. */
  const struct query *asked[MAX_WINDOW];
  uint8_t out[OUT_OCTETS];
  size_t out_at;
  size_t out_end;
  uint8_t in[IN_OCTETS];
  size_t in_end;
};

static uint64_t next;
static int poll_socket;

static void open_connection(struct connection *connection, const struct options *options) {
  int one = 1;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) fail("a socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd, (const struct sockaddr *)&options->servers[0], sizeof options->servers[0]) != 0)
    fail("a connection to the server");
  connection->socket = fd;
  connection->sent = connection->answered = 0;
  connection->out_at = connection->out_end = connection->in_end = 0;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
  if (epoll_ctl(poll_socket, EPOLL_CTL_ADD, fd, &event) != 0) fail("a connection");
}

/** False when the connection is no more. */
static bool flush(struct connection *connection) {
  while (connection->out_at < connection->out_end) {
    ssize_t sent = send(connection->socket, connection->out + connection->out_at,
                        connection->out_end - connection->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    connection->out_at += (size_t)sent;
  }
  return true;
}

static bool refill(struct connection *connection, const struct options *options,
                   struct figures *figures) {
  if (!flush(connection)) return false;
  uint64_t half = (uint64_t)options->window / 2;
  bool is_written = connection->out_at == connection->out_end;
  if (!is_written || connection->sent - connection->answered > half) return true;
  uint8_t *at = connection->out;
  for (uint64_t i = 0; i < half; i++) {
    const struct query *query = &queries[next++ % query_count];
    uint16_t id = (uint16_t)(connection->sent++ % MAX_WINDOW);
    connection->asked[id] = query;
    set_id(query, id);
    *at++ = (uint8_t)(query->length >> 8);
    *at++ = (uint8_t)query->length;
    memcpy(at, query->octets, query->length);
    at += query->length;
  }
  figures->sent += half;
  connection->out_at = 0;
  connection->out_end = (size_t)(at - connection->out);
  return flush(connection);
}

static void take(struct connection *connection, const uint8_t *reply, size_t length,
                 const struct options *options, struct figures *figures) {
  connection->answered++;
  figures->replies++;
  if (options->unchecked) return;
  const char *fault = "no header";
  if (length >= 2) {
    const struct query *query = connection->asked[id_of(reply) % MAX_WINDOW];
    fault = query == NULL ? "an id that was not asked with"
                          : fault_of(query, reply, length, is_sampled(figures->replies));
  }
  if (fault == NULL) return;
  figures->wrong++;
  if (figures->why == NULL) figures->why = fault;
}

/** Reads what is there; false when the server closed. */
static bool receive(struct connection *connection, const struct options *options,
                    struct figures *figures) {
  ssize_t got = recv(connection->socket, connection->in + connection->in_end,
                     IN_OCTETS - connection->in_end, MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN;
  if (got == 0) return false;
  connection->in_end += (size_t)got;
  size_t at = 0;
  while (connection->in_end - at >= 2) {
    size_t length = id_of(connection->in + at);
    if (connection->in_end - at - 2 < length) break;
    take(connection, connection->in + at + 2, length, options, figures);
    at += 2 + length;
  }
  connection->in_end -= at;
  memmove(connection->in, connection->in + at, connection->in_end);
  return true;
}

void tcp(const struct options *options, struct figures *figures) {
  if (options->window < 2 || options->window > MAX_WINDOW) fail("a window of that size");
  poll_socket = epoll_create1(0);
  struct connection *connections = calloc((size_t)options->sockets, sizeof *connections);
  if (poll_socket < 0 || connections == NULL) fail("the connections");
  for (int i = 0; i < options->sockets; i++) {
    open_connection(&connections[i], options);
    refill(&connections[i], options, figures);
  }

  double begin = now() + options->warm_up;
  double end = begin + options->seconds;
  double started = 0;
  bool is_measured = false;
  struct cpu before = {0, 0};
  struct epoll_event events[EVENTS];
  for (double time = now(); time < end; time = now()) {
    if (!is_measured && time >= begin) {
      is_measured = true;
      *figures = (struct figures){0};
      before = cpu_of(options);
      started = now();
    }
    int count = epoll_wait(poll_socket, events, EVENTS, 100);
    for (int i = 0; i < count; i++) {
      struct connection *connection = events[i].data.ptr;
      if (receive(connection, options, figures) && refill(connection, options, figures)) continue;
      close(connection->socket);
      figures->closed++;
      open_connection(connection, options);
      refill(connection, options, figures);
    }
  }
  struct cpu after = cpu_of(options);
  figures->seconds = now() - started;
  figures->user_us = after.user_us - before.user_us;
  figures->system_us = after.system_us - before.system_us;
}
