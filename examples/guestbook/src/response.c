#include "guestbook.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void send_all(int socket, const char* bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = write(socket, bytes, length);
    if (sent <= 0) return;
    bytes += sent;
    length -= (size_t)sent;
  }
}

void answer_error(int socket, int status) {
  char head[128];
  int length = snprintf(head, sizeof head, "HTTP/1.1 %d error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);
  send_all(socket, head, (size_t)length);
}

void answer(int socket, int root, const struct request* request) {
  char head[256], block[4096];
  struct stat about;
  int file = openat(root, request->path + 1, O_RDONLY);
  if (file < 0 || fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
    if (file >= 0) close(file);
    answer_error(socket, 404);
    return;
  }
  int length = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\nServer: guestbook/%s\r\nContent-Type: text/html\r\nContent-Length: %ld\r\n"
                        "Connection: close\r\n\r\n",
                        VERSION, (long)about.st_size);
  send_all(socket, head, (size_t)length);
  ssize_t got;
  while ((got = read(file, block, sizeof block)) > 0) send_all(socket, block, (size_t)got);
  close(file);
}
