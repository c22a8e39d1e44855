/* guestbook [--port N] FOLDER: serves the pages of a folder. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guestbook.h"

static void serve(int socket, int root) {
  char text[2048];
  struct request request;
  ssize_t length = read(socket, text, sizeof text - 1);
  int status = length > 0 ? parse_request(text, (size_t)length, &request) : 400;
  if (status)
    answer_error(socket, status);
  else
    answer(socket, root, &request);
}

int main(int argc, char** argv) {
  int port = 8080;
  const char* folder = ".";
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--version") == 0) return puts("guestbook " VERSION), 0;
    if (strcmp(argv[i], "--port") == 0 && i + 1 < argc)
      port = atoi(argv[++i]);
    else
      folder = argv[i];
  }
  signal(SIGPIPE, SIG_IGN);
  int root = open(folder, O_RDONLY | O_DIRECTORY);
  if (root < 0) return perror(folder), 1;
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons((unsigned short)port);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 16)) return perror("listen"), 1;
  getsockname(listener, (struct sockaddr*)&address, &size);
  printf("listening on port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    int connection = accept(listener, 0, 0);
    if (connection < 0) continue;
    serve(connection, root);
    close(connection);
  }
}
