#include "guestbook.h"

#include <string.h>

static int copy_word(const char** at, const char* end, char* out, size_t size) {
  size_t length = 0;
  while (*at < end && **at != ' ' && **at != '\r' && **at != '\n') {
    if (length + 1 >= size) return -1;
    out[length++] = *(*at)++;
  }
  out[length] = 0;
  if (*at < end && **at == ' ') ++*at;
  return length ? 0 : -1;
}

int parse_request(const char* text, size_t length, struct request* out) {
  const char* at = text;
  const char* end = text + length;
  if (copy_word(&at, end, out->method, sizeof out->method)) return 400;
  if (copy_word(&at, end, out->path, sizeof out->path)) return 414;
  if (strcmp(out->method, "GET") != 0) return 405;
  if (out->path[0] != '/' || strstr(out->path, "..")) return 400;
  if (strcmp(out->path, "/") == 0) strcpy(out->path, "/index.html");
  return 0;
}
