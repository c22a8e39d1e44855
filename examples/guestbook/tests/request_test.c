#include <stdio.h>
#include <string.h>

#include "guestbook.h"

static int failures;

static void expect(const char* text, int status, const char* path) {
  struct request request;
  int got = parse_request(text, strlen(text), &request);
  if (got == status && (status || strcmp(request.path, path) == 0)) return;
  printf("%s: status %d, want %d\n", text, got, status);
  failures++;
}

int main(void) {
  expect("GET / HTTP/1.1\r\n", 0, "/index.html");
  expect("GET /a.html HTTP/1.1\r\n", 0, "/a.html");
  expect("GET /../etc/passwd HTTP/1.1\r\n", 400, "");
  expect("POST / HTTP/1.1\r\n", 405, "");
  expect("", 400, "");
  return failures != 0;
}
