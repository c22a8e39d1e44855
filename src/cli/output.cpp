#include "cli/output.hpp"

#include <poll.h>
#include <unistd.h>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

constexpr std::size_t kBuffer = 64 * 1024;

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Status StandardOutput::write(std::string_view bytes) {
  buffer_ += bytes;
  return buffer_.size() >= kBuffer ? flush() : Status{};
}

Status StandardOutput::flush() {
  if (buffer_.empty()) return {};
  written_ = true;
  const Status status = sys::write_all(fd_, buffer_);
  buffer_.clear();
  return context(status, "while writing to standard output");
}

Status StandardOutput::finish() {
  TRY(flush());
  if (closed_) return {};
  closed_ = true;
  if (::close(fd_) != 0 && errno != EINTR && written_) return fail_errno("can not close standard output");
  return {};
}

Result<OutputFile> OutputFile::create(const std::string& path) {
  const auto there = TRY(sys::lstat_at(AT_FDCWD, path));
  if (there && !S_ISREG(there->st_mode)) {
    if (S_ISDIR(there->st_mode))
      return fail(Code::kInvalidArgument, "{} is a directory; name a file to write", quoted(path));
    return OutputFile(path, "", TRY(sys::open(path, O_WRONLY | O_TRUNC)));
  }
  std::string temporary = fmt::format("{}.slipway-{}", path, ::getpid());
  TRY(sys::unlink_at(AT_FDCWD, temporary));
  auto fd = TRY(context(sys::open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0644), "while writing {}", quoted(path)));
  return OutputFile(path, std::move(temporary), std::move(fd));
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})), fd_(std::move(other.fd_)) {}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status OutputFile::write(std::string_view bytes) {
  return context(sys::write_all(fd_.get(), bytes), "while writing {}", quoted(path_));
}

Status OutputFile::finish() {
  if (temporary_.empty()) return sys::close_checked(std::move(fd_), path_);
  TRY(sys::sync(fd_.get(), path_));
  TRY(sys::close_checked(std::move(fd_), path_));
  TRY(sys::rename_at(AT_FDCWD, temporary_, AT_FDCWD, path_));
  temporary_.clear();
  return sys::sync_directory(directory_of(path_));
}

layer::Source source_of(int fd, std::string name, Cancel cancel) {
  return
      [fd, name = std::move(name), cancel = std::move(cancel)](char* buffer, std::size_t size) -> Result<std::size_t> {
        pollfd waits[2] = {{fd, POLLIN, 0}, {cancel.fd(), POLLIN, 0}};
        while (true) {
          TRY(cancel.check());
          if (poll(waits, 2, -1) > 0 && waits[0].revents != 0) break;
        }
        return context(sys::read_some(fd, buffer, size), "while reading {}", name);
      };
}

}  // namespace slipway::cli
