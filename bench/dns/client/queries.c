// Queries from a file of names, and what the right answer to each is.
#include "client.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 12, TYPE_A = 1, CLASS_IN = 1, OPT_OCTETS = 11, MAX_NAME = 255 };

/** EDNS, 1232 octets, no option. */
static const uint8_t OPT[OPT_OCTETS] = {0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0};
/** Of five queries so many have EDNS. */
static const int EDNS_OF_FIVE = 3;
/** One reply of so many is looked at whole. */
static const uint64_t SAMPLE = 16;

struct query *queries;
size_t query_count;

static uint64_t chance = 0x9e3779b97f4a7c15u;

static uint64_t next_chance(void) {
  chance ^= chance << 13;
  chance ^= chance >> 7;
  chance ^= chance << 17;
  return chance;
}

static char *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail(path);
  fseek(file, 0, SEEK_END);
  *length = (size_t)ftell(file);
  rewind(file);
  char *text = malloc(*length + 1);
  if (text == NULL || fread(text, 1, *length, file) != *length) fail(path);
  text[*length] = 0;
  fclose(file);
  return text;
}

/** The name in wire form; its length. */
static size_t write_name(uint8_t *out, const char *name) {
  uint8_t *at = out;
  while (*name != 0) {
    size_t length = strcspn(name, ".");
    *at++ = (uint8_t)length;
    memcpy(at, name, length);
    at += length;
    name += length;
    if (*name == '.') name++;
  }
  *at++ = 0;
  return (size_t)(at - out);
}

static void write_query(struct query *query, uint8_t *out, char *line, bool has_edns) {
  char *address = strchr(line, ' ');
  if (address == NULL) fail("the names: expected \"name address\" on each line");
  *address++ = 0;
  if (inet_pton(AF_INET, address, query->address) != 1) fail(address);
  memset(out, 0, HEADER);
  out[5] = 1;
  out[11] = has_edns ? 1 : 0;
  uint8_t *at = out + HEADER + write_name(out + HEADER, line);
  *at++ = 0;
  *at++ = TYPE_A;
  *at++ = 0;
  *at++ = CLASS_IN;
  query->octets = out;
  query->question_end = (uint16_t)(at - out);
  if (has_edns) memcpy(at, OPT, OPT_OCTETS);
  query->length = (uint16_t)(query->question_end + (has_edns ? OPT_OCTETS : 0));
}

void load_queries(const char *path) {
  size_t length;
  char *text = read_file(path, &length);
  for (size_t i = 0; i < length; i++) query_count += text[i] == '\n';
  if (query_count == 0) fail("the names: there are none");
  char **lines = malloc(query_count * sizeof *lines);
  char *line = text;
  for (size_t i = 0; i < query_count; i++) {
    lines[i] = line;
    line = strchr(line, '\n');
    *line++ = 0;
  }
  for (size_t i = query_count - 1; i > 0; i--) {
    size_t other = next_chance() % (i + 1);
    char *held = lines[i];
    lines[i] = lines[other];
    lines[other] = held;
  }
  queries = calloc(query_count, sizeof *queries);
  // A name in wire form is two octets longer than its text, and the text has an address behind it.
  uint8_t *octets = malloc(length + query_count * (HEADER + 4 + OPT_OCTETS));
  if (lines == NULL || queries == NULL || octets == NULL) fail("memory for the queries");
  for (size_t i = 0; i < query_count; i++) {
    write_query(&queries[i], octets, lines[i], i % 5 < (size_t)EDNS_OF_FIVE);
    octets += queries[i].length;
  }
  free(lines);
  free(text);
}

void set_id(const struct query *query, uint16_t id) {
  query->octets[0] = (uint8_t)(id >> 8);
  query->octets[1] = (uint8_t)id;
}

uint16_t id_of(const uint8_t *message) { return (uint16_t)(message[0] << 8 | message[1]); }

bool is_sampled(uint64_t count) { return count % SAMPLE == 0; }

/** Where the name that begins at `at` ends; 0 when it does not. */
static size_t skip_name(const uint8_t *reply, size_t length, size_t at) {
  while (at < length) {
    if (reply[at] >= 0xc0) return at + 2;
    if (reply[at] == 0) return at + 1;
    at += 1u + reply[at];
  }
  return 0;
}

static const char *body_fault(const struct query *query, const uint8_t *reply, size_t length) {
  size_t question = query->question_end;
  if (length < question || memcmp(reply + HEADER, query->octets + HEADER, question - HEADER) != 0)
    return "another question";
  size_t at = skip_name(reply, length, question);
  if (at == 0 || at + 14 > length) return "the answer is cut off";
  const uint8_t record[4] = {0, TYPE_A, 0, CLASS_IN};
  if (memcmp(reply + at, record, 4) != 0) return "the first record is no address";
  const uint8_t size[2] = {0, 4};
  if (memcmp(reply + at + 8, size, 2) != 0) return "the address is not four octets";
  return memcmp(reply + at + 10, query->address, 4) == 0 ? NULL : "another address";
}

const char *fault_of(const struct query *query, const uint8_t *reply, size_t length, bool whole) {
  static char rcode[32];
  if (length < HEADER) return "no header";
  if ((reply[2] & 0x80) == 0) return "no response";
  if ((reply[3] & 15) != 0) {
    snprintf(rcode, sizeof rcode, "response code %d", reply[3] & 15);
    return rcode;
  }
  if ((reply[2] & 2) != 0) return "truncated";
  if ((reply[2] & 4) == 0) return "not authoritative";
  if (reply[6] == 0 && reply[7] == 0) return "no answer";
  return whole ? body_fault(query, reply, length) : NULL;
}
