#ifndef GUESTBOOK_H
#define GUESTBOOK_H

#include <stddef.h>

struct request {
  char method[8];
  char path[256];
};

/* Parses the first line of an HTTP/1.x request. 0, or the HTTP status that tells what is wrong with it. */
int parse_request(const char* text, size_t length, struct request* out);

/* Answers on `socket` with the file at `path` below the directory descriptor `root`. */
void answer(int socket, int root, const struct request* request);
void answer_error(int socket, int status);

#endif
